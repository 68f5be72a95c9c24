//! Every recipe in `configs/` is read, and says what its name says.

use std::collections::BTreeMap;
use std::path::Path;

use trainer::data::augment::Fill;
use trainer::nets::{self, Backbone, Neck};
use trainer::recipe::Recipe;
use trainer::schedule::Warmup;

/// Recipes by file name; other files of the folder are for devices.
fn recipes() -> BTreeMap<String, Recipe> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    let mut recipes = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|e| e == "toml") && name != "reid" {
            recipes.insert(name, Recipe::read(&path, &[]).unwrap());
        }
    }
    recipes
}

#[test]
fn recipes_are_read_and_have_networks() {
    let recipes = recipes();
    let names: Vec<&str> = recipes.keys().map(String::as_str).collect();
    let wanted = [
        "bot-osnet_x0_25",
        "bot-repvgg_a0",
        "bot-resnet18",
        "bot-resnet50-official",
        "bot-resnet50-paper",
        "qat",
        "standard-baseline",
        "street-osnet_x0_25",
        "street-osnet_x0_25-int8",
    ];
    assert_eq!(names, wanted);
    for (name, recipe) in &recipes {
        nets::blank(&recipe.model, 751).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn code_and_paper_differ_in_two_keys() {
    let recipes = recipes();
    let official = &recipes["bot-resnet50-official"];
    let mut paper = recipes["bot-resnet50-paper"].clone();
    assert_eq!(paper.augment.erasing.fill, Fill::Mean);
    assert_eq!(paper.schedule.warmup_formula, Warmup::Paper);
    paper.augment.erasing.fill = Fill::Official;
    paper.schedule.warmup_formula = Warmup::Official;
    // How the stem and the evaluation are set is no question of the paper.
    paper.model.stem_relu = official.model.stem_relu;
    paper.evaluate = official.evaluate.clone();
    assert_eq!(paper, *official);
}

/// The official recipe has every key.
#[test]
fn the_official_recipe_names_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/bot-resnet50-official.toml");
    let named: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let whole: toml::Table = recipes()["bot-resnet50-official"]
        .to_toml()
        .parse()
        .unwrap();
    fn missing(whole: &toml::Table, named: &toml::Table, prefix: &str, out: &mut Vec<String>) {
        for (key, value) in whole {
            match (value, named.get(key)) {
                (toml::Value::Table(whole), Some(toml::Value::Table(named))) => {
                    missing(whole, named, &format!("{prefix}{key}."), out);
                }
                (_, Some(_)) => {}
                (_, None) => out.push(format!("{prefix}{key}")),
            }
        }
    }
    let mut out = Vec::new();
    missing(&whole, &named, "", &mut out);
    // Colour jitter is no part of the recipe, and off.
    out.retain(|key| !key.starts_with("augment.jitter."));
    assert_eq!(out, [""; 0]);
}

#[test]
fn the_baseline_has_none_of_the_tricks() {
    let recipe = &recipes()["standard-baseline"];
    assert_eq!(recipe.model.backbone, Backbone::ResNet50);
    assert_eq!(recipe.model.last_stride, 2);
    assert_eq!(recipe.model.neck, Neck::None);
    assert_eq!(recipe.augment.erasing.probability, 0.0);
    assert_eq!(recipe.loss.id.label_smoothing, 0.0);
    assert_eq!(recipe.loss.centre.weight, 0.0);
    assert_eq!(recipe.schedule.warmup_epochs, 0);
}
