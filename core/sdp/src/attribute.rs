//! `a=` lines, RFC 8866 section 5.13: in order, each kept as its text.

use std::fmt::{self, Display};
use std::ops::{Deref, DerefMut};

/// `a=<name>` or `a=<name>:<value>`.
///
/// ```
/// use wigwag_sdp::Attribute;
///
/// let mid = Attribute::new("mid", 0);
/// assert_eq!((mid.name(), mid.value(), mid.text()), ("mid", Some("0"), "mid:0"));
/// assert_eq!(Attribute::flag("rtcp-mux").value(), None);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Attribute {
    text: String,
    name_len: usize,
}

impl Attribute {
    /// An attribute with a value. Line breaks in it would begin another line, and are left out.
    pub fn new(name: &str, value: impl Display) -> Self {
        Self::from_text(format!("{name}:{value}"))
    }

    /// An attribute without a value, such as `rtcp-mux`.
    pub fn flag(name: &str) -> Self {
        Self::from_text(name.to_owned())
    }

    /// What follows `a=`: `mid:0`, `candidate:1 1 udp ...`, `rtcp-mux`. Line breaks are left out.
    pub fn from_text(text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.retain(|c| c != '\r' && c != '\n');
        let name_len = text.find(':').unwrap_or(text.len());
        Self { text, name_len }
    }

    /// What stands before the first colon.
    pub fn name(&self) -> &str {
        self.text.get(..self.name_len).unwrap_or_default()
    }

    /// What stands after it; `None` if there is no colon.
    pub fn value(&self) -> Option<&str> {
        self.text.get(self.name_len + 1..)
    }

    /// All that follows `a=`.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a={:?}", self.text)
    }
}

/// The attributes of a session or of a media section: a `Vec` with look-ups by name.
///
/// ```
/// use wigwag_sdp::Attributes;
///
/// let mut attributes = Attributes::default();
/// attributes.add("mid", "0").add("setup", "actpass").add_flag("rtcp-mux");
/// attributes.set("setup", "active");
/// assert_eq!(attributes.value("setup"), Some("active"));
/// assert!(attributes.has("rtcp-mux"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(pub Vec<Attribute>);

impl Attributes {
    /// Is there one of this name, with a value or without?
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The value of the first one of this name that has one, without spaces around it.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// The values of all of this name, in order, without spaces around them.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.all(name).filter_map(|attribute| attribute.value()).map(str::trim)
    }

    /// All of this name, in order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Attribute> {
        self.0.iter().filter(move |attribute| attribute.name() == name)
    }

    /// Appends `a=<name>:<value>`.
    pub fn add(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.0.push(Attribute::new(name, value));
        self
    }

    /// Appends `a=<name>`.
    pub fn add_flag(&mut self, name: &str) -> &mut Self {
        self.0.push(Attribute::flag(name));
        self
    }

    /// Appends `a=<text>`, such as a whole `candidate:...`.
    pub fn add_text(&mut self, text: impl Into<String>) -> &mut Self {
        self.0.push(Attribute::from_text(text));
        self
    }

    /// Gives the first one of this name the value, and removes the others; appends one if there is none.
    pub fn set(&mut self, name: &str, value: impl Display) -> &mut Self {
        let new = Attribute::new(name, value);
        let Some(first) = self.0.iter().position(|attribute| attribute.name() == name) else {
            self.0.push(new);
            return self;
        };
        let mut index = 0;
        self.0.retain(|attribute| {
            index += 1;
            index - 1 <= first || attribute.name() != name
        });
        if let Some(attribute) = self.0.get_mut(first) {
            *attribute = new;
        }
        self
    }

    /// Removes all of this name.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.0.retain(|attribute| attribute.name() != name);
        self
    }
}

impl Deref for Attributes {
    type Target = Vec<Attribute>;
    fn deref(&self) -> &Vec<Attribute> {
        &self.0
    }
}

impl DerefMut for Attributes {
    fn deref_mut(&mut self) -> &mut Vec<Attribute> {
        &mut self.0
    }
}

impl FromIterator<Attribute> for Attributes {
    fn from_iter<I: IntoIterator<Item = Attribute>>(attributes: I) -> Self {
        Self(attributes.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Attributes {
    type Item = &'a Attribute;
    type IntoIter = std::slice::Iter<'a, Attribute>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_be_empty_and_may_have_colons() {
        assert_eq!(Attribute::from_text("x:").value(), Some(""));
        assert_eq!(Attribute::from_text("x").value(), None);
        assert_eq!(Attribute::from_text("x:y:z").value(), Some("y:z"));
        assert_eq!(Attribute::from_text(":y").name(), "");
    }

    #[test]
    fn a_value_cannot_begin_another_line() {
        assert_eq!(Attribute::new("msid", "a\r\na=fingerprint:x").text(), "msid:aa=fingerprint:x");
    }

    #[test]
    fn set_leaves_one_in_the_first_place() {
        let mut attributes = Attributes::default();
        attributes.add("a", 1).add("b", 2).add("c", 3).add("b", 4).set("b", 5).set("d", 6).remove("c");
        let texts: Vec<_> = attributes.iter().map(Attribute::text).collect();
        assert_eq!(texts, ["a:1", "b:5", "d:6"]);
    }
}
