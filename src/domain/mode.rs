//! The run mode: empty (`''`) for an ordinary installation, set for all others (docs/data.md, "Who counts").

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{country::Country, origin::Origin};

/// One entry of `ingest.mode_rules`: matches by network, by installation or by country.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModeRule {
    /// Networks of clients.
    #[schemars(schema_with = "networks")]
    pub networks: Vec<IpNet>,
    /// Ids of installations.
    pub instances: Vec<String>,
    /// Countries of clients; an unknown country is in no list.
    pub countries: Vec<Country>,
    /// The mode to store.
    pub mode: String,
}

impl ModeRule {
    fn matches(&self, origin: Origin, instance_id: &str) -> bool {
        self.networks.iter().any(|network| network.contains(&origin.address))
            || self.instances.iter().any(|instance| instance == instance_id)
            || origin.country.is_some_and(|country| self.countries.contains(&country))
    }
}

/// The schema of a list of networks.
#[must_use]
pub fn networks(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "string",
            "pattern": "^[0-9a-fA-F:.]+/[0-9]{1,3}$",
            "examples": ["10.0.0.0/8", "fd00::/8"],
            "x-kind": "a network",
        },
    })
}

/// The mode of an installation that sends none: `dev` for a development version, otherwise that of the first matching rule.
#[must_use]
pub fn unsent<'a>(version: &str, rules: &'a [ModeRule], origin: Origin, instance_id: &str) -> &'a str {
    if version.contains("dev") {
        return "dev";
    }
    rules.iter().find(|rule| rule.matches(origin, instance_id)).map_or("", |rule| &rule.mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_rule_sets_the_mode() {
        let rule = |networks: &[&str], instances: &[&str], mode: &str| ModeRule {
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
            instances: instances.iter().map(ToString::to_string).collect(),
            mode: mode.into(),
            ..ModeRule::default()
        };
        let rules = [rule(&["10.0.0.0/8"], &[], "office"), rule(&["10.1.0.0/16", "2001:db8::/32"], &["abc"], "lab")];
        let unsent = |version, address: &str, instance| {
            unsent(version, &rules, Origin::new(address.parse().unwrap(), None), instance)
        };
        assert_eq!(unsent("0.16.0.dev0+git.1", "192.0.2.1", ""), "dev");
        assert_eq!(unsent("0.16.0", "10.1.2.3", ""), "office");
        assert_eq!(unsent("0.16.0", "2001:db8::1", ""), "lab");
        assert_eq!(unsent("0.16.0", "::ffff:10.1.2.3", ""), "office");
        assert_eq!(unsent("0.16.0", "192.0.2.1", "abc"), "lab");
        assert_eq!(unsent("0.16.0", "192.0.2.1", "abcd"), "");
    }

    #[test]
    fn a_rule_may_match_by_country() {
        let country = |code| Country::read(code).unwrap();
        let rules = [
            ModeRule { countries: vec![country("TZ"), country("KE")], mode: "pilot".into(), ..ModeRule::default() },
            ModeRule {
                countries: vec![country("US")],
                instances: vec!["abc".into()],
                mode: "office".into(),
                ..ModeRule::default()
            },
        ];
        let unsent = |code: &str, instance| {
            let origin = Origin::new([192, 0, 2, 1].into(), Country::read(code));
            unsent("0.16.0", &rules, origin, instance)
        };
        assert_eq!([unsent("TZ", ""), unsent("KE", "abc"), unsent("US", "")], ["pilot", "pilot", "office"]);
        assert_eq!([unsent("", "abc"), unsent("UG", "abc")], ["office", "office"]);
        assert_eq!([unsent("", ""), unsent("UG", "")], ["", ""], "an unknown country is in no list");
    }
}
