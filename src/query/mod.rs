//! Answers agencies that ask about one pupil.
