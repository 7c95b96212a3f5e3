//! [`Rights`]: what a guest gets: the intersection of what its artifact asks for and what the operator grants.
//!
//! A bare file has nobody to ask on its behalf: it gets what the operator grants. An artifact that asks for nothing gets
//! nothing, whatever is granted.

use dunlin_models::artifact::Capabilities;
use dunlin_runtime::{OutboundHost, OutboundHostError};
use thiserror::Error;

use crate::sandbox::Folder;

/// What the operator grants.
#[derive(Debug, Clone, Default)]
pub(crate) struct Granted {
    pub(crate) env: Vec<(String, String)>,
    pub(crate) dirs: Vec<Folder>,
    pub(crate) hosts: Vec<OutboundHost>,
}

/// What the guest gets, and what lies on one side only.
#[derive(Debug, Default)]
pub(crate) struct Rights {
    pub(crate) env: Vec<(String, String)>,
    pub(crate) dirs: Vec<Folder>,
    pub(crate) hosts: Vec<OutboundHost>,
    /// Granted, and not asked for: not given.
    pub(crate) unasked: Vec<String>,
    /// Asked for, and not granted: not given either.
    pub(crate) missing: Vec<String>,
}

/// An artifact asks for a host that is none.
#[derive(Debug, Error)]
#[error("the artifact asks for a host that makes no sense")]
pub struct AskedHostError(#[source] OutboundHostError);

impl Rights {
    /// Meets what `asked` wants, or all of `granted` where nobody can be asked.
    pub(crate) fn meet(asked: Option<&Capabilities>, granted: Granted) -> Result<Self, AskedHostError> {
        let Some(asked) = asked else {
            return Ok(Self {
                env: granted.env,
                dirs: granted.dirs,
                hosts: granted.hosts,
                ..Self::default()
            });
        };
        let mut rights = Self::default();
        rights.meet_env(asked, granted.env);
        rights.meet_dirs(asked, granted.dirs);
        rights.meet_hosts(asked, &granted.hosts)?;
        Ok(rights)
    }

    fn meet_env(&mut self, asked: &Capabilities, granted: Vec<(String, String)>) {
        for name in &asked.env {
            if !granted.iter().any(|(known, _)| known == name) {
                self.missing.push(format!("the variable {name}"));
            }
        }
        for (name, value) in granted {
            if asked.env.contains(&name) {
                self.env.push((name, value));
            } else {
                self.unasked.push(format!("the variable {name}"));
            }
        }
    }

    /// Folders meet by their path in the guest; one may be written to only if both sides say so.
    fn meet_dirs(&mut self, asked: &Capabilities, granted: Vec<Folder>) {
        for dir in &asked.dirs {
            match granted.iter().find(|folder| folder.guest == dir.guest) {
                None => self.missing.push(format!("the folder {}", dir.guest)),
                Some(folder) if folder.read_only && dir.writable => {
                    self.missing.push(format!("writing to the folder {}", dir.guest));
                }
                Some(_) => {}
            }
        }
        for folder in granted {
            match asked.dirs.iter().find(|dir| dir.guest == folder.guest) {
                Some(dir) => self.dirs.push(Folder {
                    read_only: folder.read_only || !dir.writable,
                    ..folder
                }),
                None => self.unasked.push(format!("the folder {}", folder.guest)),
            }
        }
    }

    fn meet_hosts(&mut self, asked: &Capabilities, granted: &[OutboundHost]) -> Result<(), AskedHostError> {
        let wanted = asked.hosts.iter().map(|text| text.parse::<OutboundHost>());
        let wanted = wanted.collect::<Result<Vec<_>, _>>().map_err(AskedHostError)?;
        for (host, text) in wanted.iter().zip(&asked.hosts) {
            if OutboundHost::intersection(std::slice::from_ref(host), granted).is_empty() {
                self.missing.push(format!("the host {text}"));
            }
        }
        for host in granted {
            if OutboundHost::intersection(&wanted, std::slice::from_ref(host)).is_empty() {
                self.unasked.push(format!("the host {host}"));
            }
        }
        self.hosts = OutboundHost::intersection(&wanted, granted);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dunlin_models::artifact::Dir;

    use super::*;

    fn asked() -> Capabilities {
        Capabilities {
            hosts: vec!["api.example:443".to_owned(), "*.data.example".to_owned()],
            dirs: vec![
                Dir {
                    guest: "/data".to_owned(),
                    writable: false,
                },
                Dir {
                    guest: "/out".to_owned(),
                    writable: true,
                },
            ],
            env: vec!["TOKEN".to_owned(), "LEVEL".to_owned()],
            ..Capabilities::default()
        }
    }

    fn granted() -> Granted {
        let folder = |guest: &str, read_only| Folder {
            host: "/tmp".into(),
            guest: guest.to_owned(),
            read_only,
        };
        Granted {
            env: vec![("TOKEN".into(), "t".into()), ("HOME".into(), "/root".into())],
            dirs: vec![folder("/data", false), folder("/out", true), folder("/etc", false)],
            hosts: ["api.example", "evil.example"]
                .iter()
                .map(|host| host.parse().unwrap())
                .collect(),
        }
    }

    #[test]
    fn only_what_both_sides_say_is_given() {
        let rights = Rights::meet(Some(&asked()), granted()).unwrap();
        assert_eq!(rights.env, [("TOKEN".to_owned(), "t".to_owned())]);
        let dirs: Vec<_> = rights
            .dirs
            .iter()
            .map(|dir| (dir.guest.as_str(), dir.read_only))
            .collect();
        assert_eq!(dirs, [("/data", true), ("/out", true)]);
        assert!(rights.hosts.iter().any(|host| host.matches("api.example", 443)));
        assert!(!rights.hosts.iter().any(|host| host.matches("api.example", 80)));
        assert!(!rights.hosts.iter().any(|host| host.matches("evil.example", 443)));
        assert_eq!(
            rights.unasked,
            ["the variable HOME", "the folder /etc", "the host evil.example"]
        );
        assert_eq!(
            rights.missing,
            [
                "the variable LEVEL",
                "writing to the folder /out",
                "the host *.data.example"
            ]
        );
    }

    #[test]
    fn an_artifact_that_asks_for_nothing_gets_nothing() {
        let rights = Rights::meet(Some(&Capabilities::default()), granted()).unwrap();
        assert!(rights.env.is_empty() && rights.dirs.is_empty() && rights.hosts.is_empty());
        assert_eq!(rights.unasked.len(), 7);
    }

    #[test]
    fn a_bare_file_gets_what_is_granted() {
        let rights = Rights::meet(None, granted()).unwrap();
        assert_eq!((rights.env.len(), rights.dirs.len(), rights.hosts.len()), (2, 3, 2));
        assert!(rights.unasked.is_empty() && rights.missing.is_empty());
    }

    #[test]
    fn nonsense_in_the_artifact_is_an_error() {
        let asked = Capabilities {
            hosts: vec!["not a host".to_owned()],
            ..Capabilities::default()
        };
        assert!(Rights::meet(Some(&asked), granted()).is_err());
    }
}
