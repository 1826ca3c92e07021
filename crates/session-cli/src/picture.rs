//! A screen in the forms that people and programs take: one file a form.
//!
//! What a picture is made of is decided in [`scene`], and written down in [`svg`].

mod ansi;
mod json;
mod scene;
mod svg;
mod text;

pub(crate) use ansi::ansi;
pub(crate) use json::json;
pub(crate) use scene::Scene;
pub(crate) use svg::svg;
pub(crate) use text::text;
