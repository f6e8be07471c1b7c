//! What operators change, and what came of it.

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::backends::Hold;
use crate::config::MOST_WEIGHT;

/// What is to change of a backend (JSON Merge Patch, RFC 7396): what is absent stays, null takes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackendPatch {
    /// Hold it back from requests, or no longer.
    #[serde(default, deserialize_with = "given_hold", skip_serializing_if = "Option::is_none")]
    pub hold: Option<Option<Hold>>,
    /// Another weight than the settings say, or that again.
    #[serde(default, deserialize_with = "given_weight", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maximum" = MOST_WEIGHT))]
    pub weight: Option<Option<u32>>,
}

/// Tells null from absent. What is JSON and no hold is of another kind, not malformed.
fn given_hold<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<Hold>>, D::Error> {
    match Value::deserialize(value)? {
        Value::Null => Ok(Some(None)),
        hold if hold.is_string() => {
            serde_json::from_value(hold).map(|hold| Some(Some(hold))).map_err(D::Error::custom)
        }
        other => Err(D::Error::custom(format_args!("hold {other}: not \"drain\" or \"disable\", or null"))),
    }
}

/// To JSON, 5.0 is a whole number, too.
fn given_weight<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<u32>>, D::Error> {
    let value = Value::deserialize(value)?;
    if value.is_null() {
        return Ok(Some(None));
    }
    let refused = || {
        let problem = format_args!("weight {value}: not a whole number from 0 to {MOST_WEIGHT}, or null");
        D::Error::custom(problem)
    };
    let weight = value.as_f64().ok_or_else(refused)?;
    if weight.fract() != 0.0 || !(0.0..=f64::from(MOST_WEIGHT)).contains(&weight) {
        return Err(refused());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    Ok(Some(Some(weight as u32)))
}

/// What operators said of backends that no settings say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OverrideList {
    /// Pool after pool.
    pub overrides: Vec<Override>,
}

/// What an operator said of one backend. It outlasts reloads and a change of processes (SIGUSR2), and ends with a stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Override {
    /// The backend's pool.
    pub pool: String,
    /// The backend's address.
    pub address: String,
    /// Whether it is held.
    pub hold: Option<Hold>,
    /// In place of the weight that the settings say.
    pub weight: Option<u32>,
}

/// How the files are to be read anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reload {}

/// What came of settings that were to be put in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    /// Whether anything changed, or would have.
    pub result: Change,
    /// Settings of which the change takes effect at the next start only.
    pub later: Vec<String>,
    /// Which settings are in force now.
    pub revision: u64,
    /// Whether nothing was put in force because only a trial was asked for.
    pub dry_run: bool,
    /// Whether it is watched and taken back if things get worse.
    pub watched: bool,
}

/// What came of the last change that was to be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confirmation {
    /// What came of it.
    pub verdict: Verdict,
    /// Which settings it brought; none if no change was to be confirmed yet.
    pub revision: Option<u64>,
    /// Seconds that are left in which it may be taken back.
    pub left: u64,
    /// Why it was taken back, or is to be, and why it could not be yet.
    pub reason: Option<String>,
}

/// What came of a change that was to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There was none.
    None,
    /// It is still watched.
    Watching,
    /// Nothing got worse: it stays.
    Kept,
    /// The settings were changed again meanwhile.
    Overtaken,
    /// It was taken back.
    RolledBack,
    /// It is to be taken back, and could not be yet: that is tried until it can, or the settings are changed.
    Stuck,
}

/// Whether anything changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The settings are the ones that were.
    Unchanged,
    /// Other settings are in force.
    Changed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_stays_and_null_takes_back() {
        let patch = |text: &str| serde_json::from_str::<BackendPatch>(text);
        let of = |hold, weight| Some(BackendPatch { hold, weight });
        assert_eq!(patch("{}").ok(), of(None, None));
        assert_eq!(patch(r#"{"hold": null, "weight": null}"#).ok(), of(Some(None), Some(None)));
        assert_eq!(patch(r#"{"hold": "drain"}"#).ok(), of(Some(Some(Hold::Drain)), None));
        assert_eq!(patch(r#"{"weight": 5.0}"#).ok(), of(None, Some(Some(5))));
        for wrong in [r#"{"weight": 0.5}"#, r#"{"weight": -1}"#, r#"{"weight": 10001}"#, r#"{"weight": "5"}"#]
        {
            assert!(patch(wrong).is_err(), "{wrong}");
        }
        for wrong in [r#"{"hold": "up"}"#, r#"{"wait": 5}"#] {
            assert!(patch(wrong).is_err(), "{wrong}");
        }
    }
}
