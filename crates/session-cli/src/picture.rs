//! A screen in the forms that people and programs take: one file a form.
//!
//! The two that are drawn share a [`scene`], so that they are the same picture.

mod ansi;
mod fonts;
mod json;
mod png;
mod scene;
mod svg;
mod text;

pub(crate) use ansi::ansi;
pub(crate) use json::json;
pub(crate) use png::png;
pub(crate) use scene::Scene;
pub(crate) use svg::svg;
pub(crate) use text::text;
