//! CloudEvents of Alibaba Cloud, as EventBridge writes them.

use super::content::{markers, may_vary};
use super::{ObjectWriter, Unusual, level, level_json, text_if_string, text_of};
use crate::canonical::Scope;
use crate::cloudevent::{CONTENT_TYPE, cloud_time, event_time, kind, name, product, source};
use crate::json::raw::{RawMember, raw_members};
use crate::native_field::derived_level;
use crate::time::in_both_forms;

/// The attributes that have a native counterpart or are dropped.
#[derive(Default)]
struct Attributes<'t> {
    id: Option<RawMember<'t>>,
    source: Option<RawMember<'t>>,
    subject: Option<RawMember<'t>>,
    account: Option<RawMember<'t>>,
    time: Option<RawMember<'t>>,
    region: Option<RawMember<'t>>,
    kind: Option<RawMember<'t>>,
    level: Option<RawMember<'t>>,
    data: Option<RawMember<'t>>,
    content_type: Option<RawMember<'t>>,
    version: Option<RawMember<'t>>,
}

impl<'t> Attributes<'t> {
    /// Those of an event.
    fn of(members: &[RawMember<'t>]) -> Result<Self, Unusual> {
        let mut attributes = Self::default();
        for member in members {
            match (member.key.len(), member.key) {
                // Converted by patches, from Base64, or kept in an object of their own.
                (15, "reflexarcnative")
                | (11, "data_base64")
                | (10, "cloudEvent" | "resourceId")
                | (4, "name")
                | (7, "content" | "product")
                | (6, "userId")
                | (9, "eventTime")
                | (8, "regionId") => return Err(Unusual),
                (_, key) => {
                    if let Some(field) = attributes.field(key)
                        && field.replace(*member).is_some()
                    {
                        return Err(Unusual);
                    }
                }
            }
        }
        Ok(attributes)
    }

    /// The field of an attribute.
    // By the length first, as in `MemberKey`.
    fn field(&mut self, key: &str) -> Option<&mut Option<RawMember<'t>>> {
        Some(match (key.len(), key) {
            (2, "id") => &mut self.id,
            (4, "time") => &mut self.time,
            (4, "type") => &mut self.kind,
            (4, "data") => &mut self.data,
            (5, "level") => &mut self.level,
            (6, "source") => &mut self.source,
            (7, "subject") => &mut self.subject,
            (11, "specversion") => &mut self.version,
            (14, "aliyunregionid") => &mut self.region,
            (15, "aliyunaccountid") => &mut self.account,
            (15, "datacontenttype") => &mut self.content_type,
            _ => return None,
        })
    }
}

/// The native form of a CloudEvent.
pub(super) fn to_native(text: &str) -> Option<String> {
    let members = raw_members(text)?;
    let attributes = Attributes::of(&members).ok()?;
    let id = text_of(attributes.id).ok()?;
    let source_text = text_of(attributes.source).ok()?;
    let subject = text_of(attributes.subject).ok()?;
    let account = text_of(attributes.account).ok()?;
    let time = text_of(attributes.time).ok()?;
    let region = text_of(attributes.region).ok()?;
    let kind_text = attributes.kind?.plain_string()?;
    let is_known_version = attributes.version?.plain_string()? == "1.0";
    let data = attributes.data.filter(|data| data.value.starts_with('{'))?;
    let content = raw_members(data.value)?;
    // The last one of a key counts.
    let field = |key| content.iter().rfind(|member| member.has_key(key)).copied();
    let status = text_if_string(field("eventStatus")).ok()?;
    let result = text_if_string(field("result")).ok()?;
    // As in the conversion of trees: an attribute is kept beside its native counterpart unless
    // that gives it back exactly.
    let product = source_text.and_then(product);
    let (native_time, again) = native_time(time);
    let name = name(kind_text, product.as_deref(), status);
    let kept = Kept {
        source: product.as_deref().and_then(source).as_deref() != source_text,
        time: again.as_deref() != time,
        kind: kind(&name, product.as_deref()) != kind_text,
        content_type: keeps_content_type(attributes.content_type).ok()?,
    };
    let scope = Scope::of(&name);
    let may_vary = scope != Scope::Nothing && may_vary(markers(&content), scope);
    if !is_known_version || may_vary {
        return None;
    }
    let level = match attributes.level {
        Some(member) => {
            member.plain_string()?;
            level(member).map(|member| member.value)
        }
        None => derived_level(&name, result).map(level_json),
    };
    let mut out = ObjectWriter::with_capacity(text.len() + 64);
    out.optional_text("id", id);
    out.optional_text("product", product.as_deref());
    out.optional_text("resourceId", subject);
    if let Some(level) = level {
        out.value("level", level, true);
    }
    out.text("name", &name);
    out.optional_text("userId", account);
    out.optional_text("eventTime", native_time.as_deref());
    out.optional_text("regionId", region);
    out.value("content", data.value, data.is_compact);
    for member in members.iter().filter(|member| kept.keeps(member.key)) {
        out.member(*member);
    }
    Some(out.finish())
}

/// Which of the attributes that have a native counterpart, or a default, are kept.
#[allow(
    clippy::struct_excessive_bools,
    reason = "the attributes are independent of each other"
)]
struct Kept {
    source: bool,
    time: bool,
    kind: bool,
    content_type: bool,
}

impl Kept {
    fn keeps(&self, key: &str) -> bool {
        match (key.len(), key) {
            (2, "id")
            | (4, "data")
            | (5, "level")
            | (7, "subject")
            | (11, "specversion")
            | (14, "aliyunregionid")
            | (15, "aliyunaccountid") => false,
            (4, "time") => self.time,
            (4, "type") => self.kind,
            (6, "source") => self.source,
            (15, "datacontenttype") => self.content_type,
            _ => true,
        }
    }
}

/// The native time of an attribute, and the attribute that it gives back.
fn native_time(time: Option<&str>) -> (Option<String>, Option<String>) {
    if let Some(Some((native, again))) = time.map(in_both_forms) {
        return (Some(native), Some(again));
    }
    let native = time.and_then(event_time);
    let again = native.as_deref().and_then(cloud_time);
    (native, again)
}

/// Whether the `datacontenttype` is another one than EventBridge writes.
fn keeps_content_type(member: Option<RawMember<'_>>) -> Result<bool, Unusual> {
    // Escape sequences may spell the default.
    Ok(text_if_string(member)? != Some(CONTENT_TYPE))
}
