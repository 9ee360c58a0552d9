//! Tags of resources, and pages of lists.

use reflexarc_eni::Cloud;

use crate::world::{OTHER, SERVICE, USER, answer, at, cloud, created, text_at};

/// Action, parameters and error code of refused requests. `$` stands for an interface.
const ERRORS: &str = "
TagResources ResourceType=eni&Tag.1.Key=k MissingParameter
TagResources ResourceId.1=$&Tag.1.Key=k MissingParameter
TagResources ResourceType=eni&ResourceId.1=$ MissingParameter
TagResources ResourceType=moon&ResourceId.1=$&Tag.1.Key=k InvalidResourceType.NotFound
TagResources ResourceType=instance&ResourceId.1=$&Tag.1.Key=k InvalidResourceId.NotFound
TagResources ResourceType=eni&ResourceId.1=$&ResourceId.2=e&Tag.1.Key=k InvalidResourceId.NotFound
TagResources ResourceType=eni&ResourceId.1=$&Tag.1.Key=k&Tag.2.Key=k Duplicate.TagKey
TagResources ResourceType=eni&ResourceId.1=$&Tag.1.Key=acs:k InvalidTagKey.Malformed
UntagResources ResourceType=eni&ResourceId.1=$ MissingParameter
UntagResources ResourceType=eni&ResourceId.1=$&All=false MissingParameter
UntagResources ResourceType=eni&ResourceId.1=eni-x&All=true InvalidResourceId.NotFound
ListTagResources ResourceId.1=$ MissingParameter
ListTagResources ResourceType=eni MissingParameter
ListTagResources ResourceType=eni&ResourceId.1=$&NextToken=bad InvalidParameter
ListTagResources ResourceType=eni&TagFilter.1.TagKey=k UnsupportedParameter
";

fn tags(cloud: &mut Cloud, caller: &str, query: &str) -> Vec<(String, String, String)> {
    let query = format!("ResourceType=eni&{query}");
    let body = answer(cloud, caller, "ListTagResources", &query).body;
    let found = at(&body, "TagResources.TagResource").elements();
    let tag = |one| {
        let text = |key| text_at(one, key).to_owned();
        (text("ResourceId"), text("TagKey"), text("TagValue"))
    };
    found.iter().map(tag).collect()
}

#[test]
fn each_refused_request_has_its_code_and_no_effect() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, USER, USER).id;
    for line in ERRORS.lines().filter(|line| !line.is_empty()) {
        let [action, query, expected] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let response = answer(&mut cloud, USER, action, &query.replace('$', &interface));
        assert_eq!(response.code, expected, "{line}: {}", response.message);
    }
    assert_eq!(
        tags(&mut cloud, USER, &format!("ResourceId.1={interface}")),
        []
    );
}

#[test]
fn the_numbers_of_tags_and_resources_are_limited() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, USER, USER).id;
    let tag = |cloud: &mut Cloud, from: usize, count: usize| {
        let keys: Vec<String> = (0..count)
            .map(|n| format!("Tag.{}.Key=k{}", n + 1, from + n))
            .collect();
        let query = format!(
            "ResourceType=eni&ResourceId.1={interface}&{}",
            keys.join("&")
        );
        answer(cloud, USER, "TagResources", &query).code
    };
    assert_eq!(tag(&mut cloud, 0, 21), "NumberExceed.Tags");
    assert_eq!(tag(&mut cloud, 0, 19), "");
    assert_eq!(tag(&mut cloud, 18, 3), "QuotaExceed.TagsPerResource");
    // Only a new key counts.
    assert_eq!(tag(&mut cloud, 18, 2), "");
    let ids: Vec<String> = (1..=51)
        .map(|n| format!("ResourceId.{n}=eni-{n}"))
        .collect();
    let query = format!("ResourceType=eni&{}", ids.join("&"));
    let refused = answer(&mut cloud, USER, "ListTagResources", &query);
    assert_eq!(refused.code, "NumberExceed.ResourceIds");
}

#[test]
fn resources_are_found_by_their_tags() {
    let mut cloud = cloud();
    let (one, two) = (
        created(&mut cloud, USER, USER).id,
        created(&mut cloud, USER, USER).id,
    );
    let both = format!("ResourceType=eni&ResourceId.1={one}&ResourceId.2={two}");
    let tagged = format!("{both}&Tag.1.Key=reflexarc&Tag.1.Value=auto-delete");
    assert!(answer(&mut cloud, USER, "TagResources", &tagged).is_accepted());
    let team = format!("ResourceType=eni&ResourceId.1={two}&Tag.1.Key=team&Tag.1.Value=network");
    assert!(answer(&mut cloud, USER, "TagResources", &team).is_accepted());
    let found = tags(&mut cloud, USER, "Tag.1.Key=team&Tag.2.Key=reflexarc");
    let tag = |key: &str, value: &str| (two.clone(), key.to_owned(), value.to_owned());
    assert_eq!(
        found,
        [tag("reflexarc", "auto-delete"), tag("team", "network")]
    );
    assert_eq!(tags(&mut cloud, OTHER, "Tag.1.Key=team"), []);
    let wrong = tags(&mut cloud, USER, "Tag.1.Key=team&Tag.1.Value=storage");
    assert_eq!(wrong, []);
    // Descriptions filter by the same tags.
    let query = "Tag.1.Key=reflexarc&Tag.1.Value=auto-delete";
    let body = answer(&mut cloud, USER, "DescribeNetworkInterfaces", query).body;
    assert_eq!(at(&body, "TotalCount").as_i64(), Some(2));
    let all = format!("{both}&All=true");
    assert!(answer(&mut cloud, USER, "UntagResources", &all).is_accepted());
    assert_eq!(tags(&mut cloud, USER, "Tag.1.Key=reflexarc"), []);
}

#[test]
fn tags_of_managed_interfaces_belong_to_the_service() {
    let mut cloud = cloud();
    let interface = created(&mut cloud, SERVICE, USER).id;
    let query = format!("ResourceType=eni&ResourceId.1={interface}&Tag.1.Key=k");
    let refused = answer(&mut cloud, USER, "TagResources", &query);
    assert_eq!(refused.code, "InvalidOperation.EniServiceManaged");
    assert!(answer(&mut cloud, SERVICE, "TagResources", &query).is_accepted());
    assert_eq!(
        tags(&mut cloud, USER, &format!("ResourceId.1={interface}")).len(),
        1
    );
}

#[test]
fn a_token_leads_to_the_next_page_and_nothing_else() {
    let mut cloud = cloud();
    for _ in 0..11 {
        created(&mut cloud, USER, USER);
    }
    let page = |cloud: &mut Cloud, token: &str| {
        let query = format!("Type=Secondary&MaxResults=10&NextToken={token}");
        answer(cloud, USER, "DescribeNetworkInterfaces", &query)
    };
    let first = page(&mut cloud, "");
    let token = text_at(&first.body, "NextToken").to_owned();
    let second = page(&mut cloud, &token).body;
    let sets = |body| {
        at(body, "NetworkInterfaceSets.NetworkInterfaceSet")
            .elements()
            .len()
    };
    assert_eq!((sets(&first.body), sets(&second)), (10, 1));
    assert_eq!(text_at(&second, "NextToken"), "");
    // The id of an interface is no token, nor is a token that was cut.
    let id = text_at(
        &second,
        "NetworkInterfaceSets.NetworkInterfaceSet.0.NetworkInterfaceId",
    );
    for bad in ["bad", id, &token[..3], "eni-"] {
        assert_eq!(page(&mut cloud, bad).code, "InvalidParameter", "{bad}");
    }
}
