//! Makes names the way each ethnic group makes them.

use super::chance::Chance;
use super::words::{GroupNames, NameOrder, Words};

/// A made-up name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// The whole name.
    pub(super) full: String,
    /// The part that parent and child share: family or clan; empty where a group has none.
    pub(super) family: String,
    /// What the person is called by.
    pub(super) given: String,
}

/// Whose name is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bearer<'a> {
    /// Code of the ethnic group.
    pub(super) group: &'a str,
    /// Region, which chooses the names of the Kinh.
    pub(super) region: &'a str,
    pub(super) female: bool,
    pub(super) adult: bool,
    /// Family to keep; `None` draws one.
    pub(super) family: Option<&'a str>,
}

/// Tell whether children of the group have their mother's clan (Ê-đê, Mnông, Gia-rai).
pub(super) fn takes_mothers_clan(words: &Words, group: &str) -> bool {
    matches!(group, "10" | "12" | "20") && words.names.group.contains_key(group)
}

fn names_of<'a>(words: &'a Words, bearer: Bearer<'_>) -> Option<&'a GroupNames> {
    let key = if bearer.group == "01" { bearer.region } else { bearer.group };
    let groups = &words.names.group;
    groups.get(key).or_else(|| groups.get("other"))
}

/// Draw a name for `bearer`.
pub(super) fn draw(words: &Words, chance: &mut Chance, bearer: Bearer<'_>) -> Name {
    let Some(group) = names_of(words, bearer) else {
        return Name {
            full: "Nguyễn An".to_owned(),
            family: "Nguyễn".to_owned(),
            given: "An".to_owned(),
        };
    };
    let family = match bearer.family {
        Some(family) => family.to_owned(),
        None => chance.weighted_text(&group.families).to_owned(),
    };
    let own = group.own > 0 && chance.percent(group.own);
    let (prefix, given) = if own || group.order != NameOrder::FamilyGiven {
        own_parts(words, chance, group, bearer, own)
    } else {
        pool_parts(words, chance, bearer, &family)
    };
    assemble(group.order, family, &prefix, &given)
}

fn own_parts(
    words: &Words,
    chance: &mut Chance,
    group: &GroupNames,
    bearer: Bearer<'_>,
    own: bool,
) -> (String, String) {
    let (prefixes, givens) = if bearer.female {
        (&group.middle_female, &group.given_female)
    } else {
        (&group.middle_male, &group.given_male)
    };
    let prefix = chance.text(prefixes).to_owned();
    let pool = &words.names.pool;
    let given = match (own, bearer.female) {
        (true, _) => chance.text(givens),
        (false, true) => chance.text(&pool.given_female),
        (false, false) => chance.text(&pool.given_male),
    };
    (prefix, given.to_owned())
}

fn pool_parts(
    words: &Words,
    chance: &mut Chance,
    bearer: Bearer<'_>,
    family: &str,
) -> (String, String) {
    let pool = &words.names.pool;
    let (middles, givens) = match (bearer.adult, bearer.female) {
        (true, true) => (&pool.adult_middle_female, &pool.adult_given_female),
        (true, false) => (&pool.adult_middle_male, &pool.adult_given_male),
        (false, true) => (&pool.middle_female, &pool.given_female),
        (false, false) => (&pool.middle_male, &pool.given_male),
    };
    let mut middle = chance.weighted_text(middles);
    let given = chance.text(givens);
    // Nobody is called Hoàng Hoàng Hoàng.
    if middle.split(' ').any(|part| part == given || part == family) {
        middle = match (bearer.female, given) {
            (true, "Ngọc") => "Bảo",
            (true, _) => "Ngọc",
            (false, "Đức") => "Văn",
            (false, _) => "Đức",
        };
    }
    (middle.to_owned(), given.to_owned())
}

fn assemble(order: NameOrder, family: String, prefix: &str, given: &str) -> Name {
    let joined = match prefix {
        "" => given.to_owned(),
        _ if prefix.ends_with('\'') => format!("{prefix}{given}"),
        _ => format!("{prefix} {given}"),
    };
    let (full, family) = match order {
        NameOrder::FamilyGiven | NameOrder::ClanGiven => (format!("{family} {joined}"), family),
        NameOrder::GivenClan => (format!("{joined} {family}"), family),
        NameOrder::PrefixGiven => (joined, String::new()),
    };
    Name { full, family, given: given.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::chance::Purpose;
    use super::*;
    use crate::platform::config::Tables;

    fn sample(group: &str, female: bool) -> Vec<Name> {
        let words = Words::load(&Tables::default()).unwrap();
        let mut chance = Chance::of(1, 1, Purpose::Pupil, 0, 0);
        let bearer = Bearer { group, region: "north", female, adult: false, family: None };
        (0..300).map(|_| draw(&words, &mut chance, bearer)).collect()
    }

    #[test]
    fn about_four_in_ten_kinh_of_the_north_are_called_nguyen() {
        let count = sample("01", false).iter().filter(|name| name.family == "Nguyễn").count();
        assert!((75..155).contains(&count), "{count}");
    }

    #[test]
    fn names_follow_the_custom_of_the_group() {
        assert!(sample("12", false).iter().all(|name| name.full.starts_with("Y ")));
        assert!(sample("12", true).iter().all(|name| name.full.starts_with('H')));
        assert!(sample("14", true).iter().all(|name| name.full.starts_with("Y ")));
        let mong = sample("08", false);
        assert!(mong.iter().filter(|name| name.full.contains(" A ")).count() > 80);
    }

    #[test]
    fn a_name_has_single_spaces_and_between_two_and_six_words() {
        for group in ["01", "02", "05", "08", "10", "16", "21", "34"] {
            for female in [true, false] {
                for name in sample(group, female) {
                    let words = name.full.split(' ').count();
                    assert!((1..=6).contains(&words), "{}", name.full);
                    assert!(!name.full.contains("  ") && name.full.trim() == name.full);
                }
            }
        }
    }
}
