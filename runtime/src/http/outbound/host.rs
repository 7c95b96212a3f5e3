//! [`OutboundHost`]: one entry of a list of hosts, as artifacts ask for them and operators grant them.

use std::{fmt, net::IpAddr, str::FromStr};

/// Ports of an entry that names none: those of HTTP and HTTPS.
const DEFAULT_PORTS: [u16; 2] = [80, 443];
/// Longest host name of the DNS.
const MAX_NAME_BYTES: usize = 253;
const PRIVATE: &str = "private:";

/// Hosts that a guest may send requests to, as text: `example.com`, `*.example.com` (all names below it, at any depth),
/// `example.com:8443`, `10.0.0.7:80`, `[::1]:8080`, `*` for any host. Without a port, 80 and 443.
///
/// A name is not followed to addresses of this machine or of private networks, unless the entry begins with `private:`
/// (`private:models.lan:8080`), or is itself such an address or `localhost`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutboundHost {
    name: Name,
    port: Option<u16>,
    private: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Any,
    /// All names that end with this, which begins with a dot.
    Below(String),
    Exactly(String),
    Address(IpAddr),
}

/// Why a text is no [`OutboundHost`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundHostError {
    /// It is not a host name, an address, or `*`.
    #[error("`{}` is no host", text.escape_debug())]
    Name {
        /// The text, cut to 253 characters.
        text: String,
    },
    /// What follows the last colon is not a port.
    #[error("`{}` has no valid port", text.escape_debug())]
    Port {
        /// The text, cut to 253 characters.
        text: String,
    },
}

impl OutboundHostError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some("write hosts as `example.com`, `*.example.com`, `example.com:8443` or `private:host.lan:80`".to_owned())
    }
}

impl OutboundHost {
    /// Whether `host` (without brackets) and `port` are meant.
    #[must_use]
    pub fn matches(&self, host: &str, port: u16) -> bool {
        let host = normal(host);
        let named = match &self.name {
            Name::Any => true,
            Name::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            Name::Exactly(name) => *name == host,
            Name::Address(address) => host.parse() == Ok(*address),
        };
        named && self.port.map_or(DEFAULT_PORTS.contains(&port), |own| own == port)
    }

    /// Whether addresses of this machine and of private networks are meant too.
    #[must_use]
    pub fn allows_private(&self) -> bool {
        self.private || matches!(&self.name, Name::Address(_)) || self.name == Name::Exactly("localhost".to_owned())
    }

    /// What is both asked for and granted: every entry of `asked` as far as an entry of `granted` reaches it. Whether
    /// private addresses are meant is the operator's to say.
    #[must_use]
    pub fn intersection(asked: &[Self], granted: &[Self]) -> Vec<Self> {
        let mut both: Vec<Self> = Vec::new();
        for host in asked
            .iter()
            .flat_map(|asked| granted.iter().filter_map(|granted| asked.meet(granted)))
        {
            if !both.contains(&host) {
                both.push(host);
            }
        }
        both
    }

    fn meet(&self, granted: &Self) -> Option<Self> {
        let name = self.name.meet(&granted.name)?;
        let port = match (self.port, granted.port) {
            (Some(one), Some(other)) if one != other => return None,
            (Some(one), None) | (None, Some(one)) if !DEFAULT_PORTS.contains(&one) => return None,
            (one, other) => one.or(other),
        };
        Some(Self {
            name,
            port,
            private: granted.private,
        })
    }
}

impl Name {
    fn meet(&self, other: &Self) -> Option<Self> {
        if self.covers(other) {
            Some(other.clone())
        } else if other.covers(self) {
            Some(self.clone())
        } else {
            None
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Below(suffix), Self::Below(name) | Self::Exactly(name)) => {
                name.len() >= suffix.len() && name.ends_with(suffix.as_str())
            }
            (own, other) => own == other,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Some(Self::Address(address));
        }
        let name = normal(text);
        let labels = name.strip_prefix("*.").unwrap_or(&name);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_name = labels.len() <= MAX_NAME_BYTES
            && labels
                .split('.')
                .all(|label| !label.is_empty() && label.len() < 64 && label.bytes().all(plain));
        is_name.then(|| match name.strip_prefix('*') {
            Some(suffix) => Self::Below(suffix.to_owned()),
            None => Self::Exactly(name.clone()),
        })
    }
}

/// Names are compared without case and without the root's dot.
fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

impl FromStr for OutboundHost {
    type Err = OutboundHostError;

    fn from_str(text: &str) -> Result<Self, OutboundHostError> {
        let cut = || text.chars().take(MAX_NAME_BYTES).collect();
        let (private, rest) = match text.strip_prefix(PRIVATE) {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let is_v6 = rest.starts_with('[') && rest.ends_with(']') || rest.parse::<IpAddr>().is_ok();
        let (name, port) = match rest.rsplit_once(':') {
            Some((name, port)) if !is_v6 => {
                let port = port.parse().ok().filter(|&port| port != 0);
                (name, Some(port.ok_or_else(|| OutboundHostError::Port { text: cut() })?))
            }
            _ => (rest, None),
        };
        let name = Name::parse(name).ok_or_else(|| OutboundHostError::Name { text: cut() })?;
        Ok(Self { name, port, private })
    }
}

impl fmt::Display for OutboundHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.private {
            f.write_str(PRIVATE)?;
        }
        match &self.name {
            Name::Any => f.write_str("*")?,
            Name::Below(suffix) => write!(f, "*{suffix}")?,
            Name::Exactly(name) => f.write_str(name)?,
            Name::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]")?,
            Name::Address(v4) => write!(f, "{v4}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn host(text: &str) -> OutboundHost {
        text.parse().unwrap()
    }

    fn hosts(texts: &[&str]) -> Vec<OutboundHost> {
        texts.iter().map(|text| host(text)).collect()
    }

    #[test]
    fn entries_mean_what_they_say() {
        assert!(host("Example.com").matches("example.COM.", 443));
        assert!(!host("example.com").matches("example.com", 8443));
        assert!(host("example.com:8443").matches("example.com", 8443));
        assert!(!host("example.com:8443").matches("example.com", 443));
        assert!(host("*.example.com").matches("a.b.example.com", 80));
        assert!(!host("*.example.com").matches("example.com", 80));
        assert!(!host("*.example.com").matches("evilexample.com", 80));
        assert!(!host("*.example.com").matches(".example.com", 80));
        assert!(host("[::1]:80").matches("::1", 80));
        assert!(host("127.0.0.1").matches("127.0.0.1", 80));
        assert!(!host("127.0.0.1").matches("localhost", 80));
        assert!(host("*").matches("anything", 443));
        assert!(host("localhost:1").allows_private() && host("private:lan").allows_private());
        assert!(!host("*").allows_private() && !host("example.com").allows_private());
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "", "a b", "*.", "a..b", "*a", "a.*", "http://a", "a/b", "a:b", "a:0", "a:65536", "a:", "[::1", "@",
        ] {
            assert!(text.parse::<OutboundHost>().is_err(), "{text}");
        }
        assert!("a".repeat(64).parse::<OutboundHost>().is_err());
        assert!("aa.".repeat(100).parse::<OutboundHost>().is_err());
    }

    #[test]
    fn texts_come_back() {
        for text in [
            "example.com",
            "*.example.com:8443",
            "*",
            "private:lan:80",
            "[::1]:80",
            "10.0.0.1",
        ] {
            assert_eq!(host(text).to_string(), text);
        }
    }

    #[test]
    fn only_what_both_sides_name_is_allowed() {
        let both = |asked: &[&str], granted: &[&str]| {
            let both = OutboundHost::intersection(&hosts(asked), &hosts(granted));
            both.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(both(&["a.example.com"], &["*.example.com"]), ["a.example.com"]);
        assert!(both(&["*"], &["example.com:8443"]).is_empty());
        assert_eq!(both(&["*:8443"], &["example.com:8443"]), ["example.com:8443"]);
        assert_eq!(both(&["*.a.example.com"], &["*.example.com"]), ["*.a.example.com"]);
        assert!(both(&["example.com"], &["other.com"]).is_empty());
        assert!(both(&["example.com"], &[]).is_empty());
        assert!(both(&["example.com:22"], &["example.com"]).is_empty());
        assert_eq!(both(&["example.com:443"], &["example.com"]), ["example.com:443"]);
        // An artifact cannot ask itself into the operator's network.
        assert_eq!(both(&["private:lan"], &["lan"]), ["lan"]);
        assert_eq!(both(&["lan"], &["private:lan"]), ["private:lan"]);
    }
}
