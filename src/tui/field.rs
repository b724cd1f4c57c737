//! A line of text that is being typed.

/// Text and the place of the cursor in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    text: String,
    /// A byte, between two characters.
    at: usize,
}

/// Bytes that a line may hold.
const LONGEST: usize = 4096;

impl Field {
    /// Returns a field with this text, the cursor behind it.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { at: text.len(), text }
    }

    /// Types a character; control characters are left out.
    pub fn insert(&mut self, c: char) {
        if !c.is_control() && self.text.len() + c.len_utf8() <= LONGEST {
            self.text.insert(self.at, c);
            self.at += c.len_utf8();
        }
    }

    /// Deletes the character before the cursor; returns whether there was one.
    pub fn backspace(&mut self) -> bool {
        let Some(c) = self.before().chars().next_back() else { return false };
        self.at -= c.len_utf8();
        self.text.remove(self.at);
        true
    }

    /// Deletes the character behind the cursor.
    pub fn delete(&mut self) {
        if self.at < self.text.len() {
            self.text.remove(self.at);
        }
    }

    /// Deletes the word before the cursor.
    pub fn delete_word(&mut self) {
        let kept = self.before().trim_end();
        let start = kept
            .rfind(char::is_whitespace)
            .map_or(0, |at| at + kept[at..].chars().next().map_or(0, char::len_utf8));
        self.text.replace_range(start..self.at, "");
        self.at = start;
    }

    /// Deletes everything before the cursor.
    pub fn delete_to_start(&mut self) {
        self.text.replace_range(..self.at, "");
        self.at = 0;
    }

    /// Moves the cursor by a character.
    pub fn step(&mut self, forward: bool) {
        let next =
            if forward { self.text[self.at..].chars().next() } else { self.before().chars().next_back() };
        let len = next.map_or(0, char::len_utf8);
        self.at = if forward { self.at + len } else { self.at - len };
    }

    /// Moves the cursor to the start.
    pub fn home(&mut self) {
        self.at = 0;
    }

    /// Moves the cursor to the end.
    pub fn end(&mut self) {
        self.at = self.text.len();
    }

    /// Replaces what stands between `start` and the cursor.
    pub fn complete(&mut self, start: usize, with: &str) {
        self.text.replace_range(start..self.at, with);
        self.at = start + with.len();
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the text before the cursor.
    pub fn before(&self) -> &str {
        &self.text[..self.at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f1_lines_are_edited_by_characters_and_words() {
        let mut field = Field::new("pört:44 añb");
        field.step(false);
        field.insert('x');
        assert_eq!(field.text(), "pört:44 añxb");
        field.delete();
        assert!(field.backspace() && field.backspace());
        assert_eq!(field.text(), "pört:44 a");
        field.delete_word();
        assert_eq!(field.text(), "pört:44 ");
        field.delete_word();
        assert_eq!(field.text(), "");
        assert!(!field.backspace());
        let mut field = Field::new("ab cd");
        (0..2).for_each(|_| field.step(false));
        field.delete_to_start();
        assert_eq!((field.text(), field.before()), ("cd", ""));
        field.end();
        field.home();
        field.insert('\u{7}');
        field.insert('ä');
        assert_eq!(field.text(), "äcd");
    }
}
