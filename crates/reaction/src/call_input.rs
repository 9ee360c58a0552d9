//! What the script `answered` sees of a call and its answer.

use reflexarc_event::{FieldSet, Json};
use rhai::{AST, Dynamic, Map, Scope};

use crate::read_fields::fields_read;
use crate::value::{text_bytes, to_script};
use crate::variable_scope::{ANSWER, CALL};
use crate::{CallAnswer, VariableScope};

/// A call that was answered.
///
/// ```
/// use reflexarc_reaction::{
///     CallAnswer, CallInput, Event, Input, Json, NoState, Reaction, ReactionLimits, RuleInfo,
///     ScriptEvent, Timestamp, VariableScope,
/// };
///
/// let script = "if answer.ok { log(call.parameters.InstanceId) } else { log(answer.code) }";
/// let scope = VariableScope::Answered { event_may_be_missing: false };
/// let reaction = Reaction::compile_in(script, scope, &ReactionLimits::DEFAULT)?;
/// let parameters = Json::parse(r#"{"InstanceId": "i-1"}"#)?;
/// let answer = CallAnswer::ok(200, Json::Null);
/// let call = CallInput {
///     target: "ecs",
///     operation: "StartInstance",
///     parameters: &parameters,
///     answer: &answer,
/// };
/// let (event, rule) = (ScriptEvent::new(&Event::from_json("{}")?), RuleInfo::named("start"));
/// let input = Input::new(&event, &rule, Timestamp::UNIX_EPOCH).with_call(&call);
/// assert_eq!(reaction.run(&input, &NoState)?.log, ["i-1"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct CallInput<'a> {
    /// The target, as `call.target`.
    pub target: &'a str,
    /// The operation, as `call.operation`.
    pub operation: &'a str,
    /// The parameters, as `call.parameters`.
    pub parameters: &'a Json,
    /// The answer, as `answer`: a map of `ok`, `status` (`()` if nothing was received), `code`,
    /// `message` and `body`.
    pub answer: &'a CallAnswer,
}

/// What a script reads of a call, so that only this is converted.
#[derive(Debug, Clone)]
pub(crate) struct CallReads {
    call: FieldSet,
    answer: FieldSet,
}

impl CallReads {
    /// What a script of this scope reads; `None` if its scope has no call.
    pub(crate) fn of_script(ast: &AST, scope: VariableScope, follow: bool) -> Option<Self> {
        scope.has_call().then(|| Self {
            call: fields_read(ast, CALL, follow),
            answer: fields_read(ast, ANSWER, follow),
        })
    }

    /// The bytes of text that the script can take from the call.
    pub(crate) fn bytes(&self, input: &CallInput<'_>) -> usize {
        let parameters = self.call.contains("parameters");
        let parameters = if parameters {
            text_bytes(input.parameters)
        } else {
            0
        };
        let body = self.answer.contains("body");
        let body = if body {
            text_bytes(&input.answer.body)
        } else {
            0
        };
        parameters + body + input.answer.message.len()
    }

    /// Adds `call` and `answer`, after the other variables are set.
    pub(crate) fn push(&self, input: &CallInput<'_>, scope: &mut Scope<'_>) {
        let CallInput {
            target,
            operation,
            parameters,
            answer,
        } = input;
        let call: [(&str, &dyn Fn() -> Dynamic); 3] = [
            ("target", &|| (*target).into()),
            ("operation", &|| (*operation).into()),
            ("parameters", &|| to_script(parameters)),
        ];
        scope.push_constant_dynamic(CALL, map(&self.call, &call));
        let status = || {
            answer
                .status
                .map_or(Dynamic::UNIT, |status| i64::from(status).into())
        };
        let answer: [(&str, &dyn Fn() -> Dynamic); 5] = [
            ("ok", &|| answer.ok.into()),
            ("status", &status),
            ("code", &|| answer.code.as_str().into()),
            ("message", &|| answer.message.as_str().into()),
            ("body", &|| to_script(&answer.body)),
        ];
        scope.push_constant_dynamic(ANSWER, map(&self.answer, &answer));
    }
}

/// A map of the fields that are read.
fn map(read: &FieldSet, fields: &[(&str, &dyn Fn() -> Dynamic)]) -> Dynamic {
    let fields = fields.iter().filter(|(name, _)| read.contains(name));
    let fields = fields.map(|(name, value)| ((*name).into(), value()));
    Dynamic::from_map(fields.collect::<Map>())
}
