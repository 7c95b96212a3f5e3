//! Licences as model hubs write them, as SPDX expressions.

/// Identifiers that differ from SPDX's in more than their case.
const RENAMED: [(&str, &str); 5] = [
    ("agpl-3.0", "AGPL-3.0-only"),
    ("gpl-2.0", "GPL-2.0-only"),
    ("gpl-3.0", "GPL-3.0-only"),
    ("lgpl-2.1", "LGPL-2.1-only"),
    ("lgpl-3.0", "LGPL-3.0-only"),
];
/// Identifiers that are SPDX's but for the case.
const KNOWN: [&str; 26] = [
    "AFL-3.0",
    "Apache-2.0",
    "Artistic-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC-BY-2.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-NC-2.0",
    "CC-BY-NC-3.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-ND-4.0",
    "CC-BY-NC-SA-4.0",
    "CC-BY-ND-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "ECL-2.0",
    "EPL-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unlicense",
    "WTFPL",
    "Zlib",
];
/// What hubs write for a licence that they have no name for.
const UNNAMED: [&str; 2] = ["other", "unknown"];

/// The SPDX expression for `text`. Identifiers that SPDX has no name for become references (`LicenseRef-llama3.1`), other
/// texts stay what they are.
pub(super) fn spdx(text: &str) -> Option<String> {
    let text = super::line(text)?;
    let lower = text.to_ascii_lowercase();
    if UNNAMED.contains(&lower.as_str()) {
        return None;
    }
    if let Some(known) = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(&text)) {
        return Some((*known).to_owned());
    }
    if let Some((_, renamed)) = RENAMED.iter().find(|(name, _)| *name == lower) {
        return Some((*renamed).to_owned());
    }
    let is_identifier = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    Some(if is_identifier {
        format!("LicenseRef-{text}")
    } else {
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hubs_names_become_expressions() {
        let cases = [
            ("apache-2.0", Some("Apache-2.0")),
            ("MIT", Some("MIT")),
            ("gpl-3.0", Some("GPL-3.0-only")),
            ("llama3.1", Some("LicenseRef-llama3.1")),
            ("Apache-2.0 OR MIT", Some("Apache-2.0 OR MIT")),
            ("other", None),
            ("a\nb", None),
        ];
        for (text, expected) in cases {
            assert_eq!(spdx(text).as_deref(), expected, "{text}");
        }
    }
}
