//! Hosts of the API by product and region.

/// Regions whose ECS host is not `ecs.REGION.aliyuncs.com`, as in the official SDK.
const ECS_HOSTS: [(&str, &[&str]); 5] = [
    (
        "ecs-cn-hangzhou.aliyuncs.com",
        &[
            "cn-beijing-nu16-b01",
            "cn-fujian",
            "cn-haidian-cm12-c01",
            "cn-hangzhou",
            "cn-hangzhou-bj-b01",
            "cn-hangzhou-internal-prod-1",
            "cn-hangzhou-internal-test-1",
            "cn-hangzhou-internal-test-2",
            "cn-hangzhou-internal-test-3",
            "cn-hangzhou-test-306",
            "cn-shanghai-et15-b01",
            "cn-shanghai-et2-b01",
            "cn-shanghai-finance-1",
            "cn-shanghai-internal-test-1",
            "cn-shenzhen-finance-1",
            "cn-shenzhen-st4-d01",
            "cn-shenzhen-su18-b01",
            "cn-zhangbei-na61-b01",
        ],
    ),
    (
        "ecs.aliyuncs.com",
        &[
            "ap-northeast-2-pop",
            "cn-beijing-finance-pop",
            "cn-beijing-gov-1",
            "cn-hangzhou-finance",
            "cn-hongkong-finance-pop",
            "cn-north-2-gov-1",
            "cn-shanghai-inner",
            "cn-shenzhen-inner",
            "cn-wuhan",
            "cn-yushanfang",
            "cn-zhangbei",
            "rus-west-1-pop",
        ],
    ),
    (
        "ecs.cn-qingdao-nebula.aliyuncs.com",
        &[
            "cn-edge-1",
            "cn-huhehaote-nebula-1",
            "cn-zhengzhou-nebula-1",
        ],
    ),
    (
        "ecs.cn-shenzhen-cloudstone.aliyuncs.com",
        &["eu-west-1-oxs"],
    ),
    (
        "ecs.cn-zhangjiakou.aliyuncs.com",
        &["cn-zhangjiakou-na62-a01"],
    ),
];

/// The host of a product in a region.
///
/// ```
/// use reflexarc_delivery::alibaba::regional_host;
///
/// assert_eq!(regional_host("ecs", "eu-central-1"), "ecs.eu-central-1.aliyuncs.com");
/// assert_eq!(regional_host("ecs", "cn-hangzhou"), "ecs-cn-hangzhou.aliyuncs.com");
/// assert_eq!(regional_host("vpc", "cn-hangzhou"), "vpc.cn-hangzhou.aliyuncs.com");
/// ```
pub fn regional_host(product: &str, region: &str) -> String {
    // `Ecs` in the documentation of some products.
    let product = product.to_ascii_lowercase();
    let mut exceptions = ECS_HOSTS.iter().filter(|_| product == "ecs");
    match exceptions.find(|(_, regions)| regions.contains(&region)) {
        Some((host, _)) => (*host).to_owned(),
        None => format!("{product}.{region}.aliyuncs.com"),
    }
}
