//! Names of users from `/etc/passwd` (passwd(5)). Users of directory services have a number only.

use std::{
    collections::HashMap,
    fs,
    time::{Duration, Instant},
};

/// How long the file is believed.
const FRESH: Duration = Duration::from_secs(30);

/// Names of users, read again from time to time.
#[derive(Debug, Default)]
pub struct Users {
    names: HashMap<u32, Box<str>>,
    read: Option<Instant>,
}

impl Users {
    /// Returns the name of a user.
    pub fn name(&mut self, uid: u32) -> Option<Box<str>> {
        if self.read.is_none_or(|at| at.elapsed() > FRESH) {
            self.names = parse(&fs::read("/etc/passwd").unwrap_or_default());
            self.read = Some(Instant::now());
        }
        self.names.get(&uid).cloned()
    }
}

fn parse(text: &[u8]) -> HashMap<u32, Box<str>> {
    let mut names = HashMap::new();
    for line in String::from_utf8_lossy(text).lines() {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next(), fields.nth(1).and_then(|uid| uid.parse().ok()));
        if let (Some(name), Some(uid)) = (name, uid) {
            // As the system does it: the first line of a user counts.
            names.entry(uid).or_insert_with(|| name.into());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_user_counts() {
        let names =
            parse(b"root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\nbad line\nwww:x:33:33::/:\n:\xff:9:\n");
        assert_eq!(names.get(&0).map(|n| &**n), Some("root"));
        assert_eq!(names.get(&33).map(|n| &**n), Some("www"));
        assert_eq!(names.get(&5), None);
    }
}
