//! Builds each part once from configuration, lists every route and runs a role.

pub mod inside;
pub mod parts;
pub mod serve;
pub mod settings;
pub mod stand_in;
pub mod work;

pub use settings::Settings;
