//! `cargo xtask layers`: every crate names its layer, and arrows between crates point down only.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::cargo::metadata;

/// Checks the workspace at `root`.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let metadata = metadata(root, &["--no-deps"])?;
    let wrong = violations(&metadata);
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\nxtask: "))
    }
}

/// Every arrow that does not point down, and every library crate without a layer.
fn violations(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let name = |package: &Value| package["name"].as_str().unwrap_or_default().to_owned();
    let layers: BTreeMap<String, f64> = packages
        .iter()
        .filter_map(|package| {
            let layer = package["metadata"]["session"]["layer"].as_f64()?;
            Some((name(package), layer))
        })
        .collect();
    let mut wrong = Vec::new();
    for package in packages {
        let from = name(package);
        let Some(layer) = layers.get(&from) else {
            // Chores stand outside.
            if from != "xtask" {
                wrong.push(format!(
                    "{from} has no layer: [package.metadata.session] layer = …"
                ));
            }
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = name(dependency);
            let is_test = dependency["kind"] == "dev";
            match layers.get(&to) {
                Some(below) if below >= layer && !is_test => wrong.push(format!(
                    "{from} (layer {layer}) must not depend on {to} (layer {below})"
                )),
                None if to == "xtask" => wrong.push(format!("{from} must not depend on xtask")),
                _ => {}
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, layer: Option<f64>, dependencies: &[Value]) -> Value {
        let metadata = layer.map(|layer| json!({ "session": { "layer": layer } }));
        json!({ "name": name, "metadata": metadata, "dependencies": dependencies })
    }

    #[test]
    fn arrows_point_down() {
        let on = |name: &str| json!({ "name": name, "kind": null });
        let metadata = json!({ "packages": [
            package("sys", Some(0.0), &[on("libc")]),
            package("store", Some(2.0), &[on("sys")]),
            package("client", Some(2.5), &[on("store")]),
            package("xtask", None, &[on("client")]),
        ]});
        assert!(violations(&metadata).is_empty());
    }

    #[test]
    fn arrows_up_or_sideways_and_missing_layers_are_wrong() {
        let metadata = json!({ "packages": [
            package("sys", Some(0.0), &[json!({ "name": "store", "kind": null })]),
            package("store", Some(2.0), &[json!({ "name": "twin", "kind": "build" })]),
            package("twin", Some(2.0), &[json!({ "name": "store", "kind": "dev" })]),
            package("lost", None, &[]),
        ]});
        let wrong = violations(&metadata);
        assert_eq!(wrong.len(), 3, "{wrong:?}");
    }

    #[test]
    fn this_workspace_keeps_its_layers() {
        check(&crate::root()).unwrap();
    }
}
