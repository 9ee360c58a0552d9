//! CloudEvents of Alibaba Cloud, as EventBridge writes them.

use super::{ContentFields, ObjectWriter, level, level_json, text_if_string};
use crate::cloudevent::{CONTENT_TYPE, cloud_time, event_time, kind, name, product, source};
use crate::json::raw::{plain_string, raw_members};
use crate::native_field::derived_level;
use crate::time::in_both_forms;

/// The attributes that have a native counterpart or are dropped.
#[derive(Default)]
struct Attributes<'t> {
    id: Option<&'t str>,
    source: Option<&'t str>,
    subject: Option<&'t str>,
    account: Option<&'t str>,
    time: Option<&'t str>,
    region: Option<&'t str>,
    kind: Option<&'t str>,
    level: Option<&'t str>,
    data: Option<&'t str>,
    content_type: Option<&'t str>,
    version: Option<&'t str>,
}

impl<'t> Attributes<'t> {
    /// The field of an attribute.
    fn field(&mut self, key: &str) -> Option<&mut Option<&'t str>> {
        Some(match key {
            "id" => &mut self.id,
            "source" => &mut self.source,
            "subject" => &mut self.subject,
            "aliyunaccountid" => &mut self.account,
            "time" => &mut self.time,
            "aliyunregionid" => &mut self.region,
            "type" => &mut self.kind,
            "level" => &mut self.level,
            "data" => &mut self.data,
            "datacontenttype" => &mut self.content_type,
            "specversion" => &mut self.version,
            _ => return None,
        })
    }
}

/// The native form of a CloudEvent.
pub(super) fn to_native(text: &str) -> Option<String> {
    let members = raw_members(text)?;
    let mut attributes = Attributes::default();
    for member in &members {
        match member.key {
            // Converted by patches, from Base64, or kept in an object of their own.
            "reflexarcnative" | "data_base64" | "cloudEvent" | "name" | "content" | "product"
            | "resourceId" | "userId" | "eventTime" | "regionId" => return None,
            key => {
                if let Some(field) = attributes.field(key)
                    && field.replace(member.value).is_some()
                {
                    return None;
                }
            }
        }
    }
    let Attributes {
        data, content_type, ..
    } = attributes;
    let id = text_of(attributes.id)?;
    let source_text = text_of(attributes.source)?;
    let subject = text_of(attributes.subject)?;
    let account = text_of(attributes.account)?;
    let time = text_of(attributes.time)?;
    let region = text_of(attributes.region)?;
    text_of(attributes.level)?;
    let kind_text = plain_string(attributes.kind?)?;
    if plain_string(attributes.version?)? != "1.0" {
        return None;
    }
    let data = data.filter(|data| data.starts_with('{'))?;
    let fields = ContentFields::of(data)?;
    let status = text_if_string(fields.status)?;
    let result = text_if_string(fields.result)?;
    // As in the conversion of trees: an attribute is kept beside its native counterpart unless
    // that gives it back exactly.
    let product = source_text.and_then(product);
    let keeps_source = product.as_deref().and_then(source).as_deref() != source_text;
    let (native_time, again) = match time.map(in_both_forms) {
        Some(Some((native, again))) => (Some(native), Some(again)),
        _ => {
            let native = time.and_then(event_time);
            let again = native.as_deref().and_then(cloud_time);
            (native, again)
        }
    };
    let keeps_time = again.as_deref() != time;
    let name = name(kind_text, product.as_deref(), status);
    let keeps_kind = kind(&name, product.as_deref()) != kind_text;
    if fields.may_vary(&name) {
        return None;
    }
    let level = match attributes.level {
        Some(value) => Some(level(value)?),
        None => derived_level(&name, result).map(|level| level_json(level).into()),
    };
    let mut out = ObjectWriter::with_capacity(text.len() + 64);
    let mut write = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            out.text(key, value);
        }
    };
    write("id", id);
    write("product", product.as_deref());
    write("resourceId", subject);
    if let Some(level) = level {
        out.value("level", &level);
    }
    out.text("name", &name);
    let mut write = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            out.text(key, value);
        }
    };
    write("userId", account);
    write("eventTime", native_time.as_deref());
    write("regionId", region);
    if let Some(member) = members.iter().find(|member| member.key == "data") {
        out.member("content", *member);
    }
    let default_type = content_type.map(|value| plain_string(value).ok_or(()));
    let drops_type = match default_type {
        Some(Ok(text)) => text == CONTENT_TYPE,
        // Escape sequences may spell the default.
        Some(Err(())) if content_type.is_some_and(|value| value.contains('\\')) => return None,
        _ => false,
    };
    for member in &members {
        let keeps = match member.key {
            "id" | "subject" | "aliyunaccountid" | "aliyunregionid" | "data" | "level"
            | "specversion" => false,
            "source" => keeps_source,
            "time" => keeps_time,
            "type" => keeps_kind,
            "datacontenttype" => !drops_type,
            _ => true,
        };
        if keeps {
            out.member(member.key, *member);
        }
    }
    Some(out.finish())
}

/// The text of a string, if there is a value; the outer `None` for any other value, and for one with
/// escape sequences.
fn text_of(value: Option<&str>) -> Option<Option<&str>> {
    match value {
        Some(value) => plain_string(value).map(Some),
        None => Some(None),
    }
}
