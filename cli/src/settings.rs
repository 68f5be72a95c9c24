//! Settings as TOML: one key that overrides a file, and refusal of keys that are unknown or renamed.

use toml::{Table, Value};

/// A value from the command line or the environment: parsed as TOML if it is TOML, else text.
#[must_use]
pub fn value(text: &str) -> Value {
    let parsed: Result<Table, _> = format!("value = {text}").parse();
    let value = parsed.ok().and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Sets the value at a path with dots, `gallery.retention`.
///
/// # Errors
/// The value that stands where the path needs a table.
pub fn put(table: &mut Table, path: &str, value: Value) -> Result<(), String> {
    let Some((section, rest)) = path.split_once('.') else {
        table.insert(path.to_owned(), value);
        return Ok(());
    };
    let inner = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    match inner {
        Value::Table(inner) => put(inner, rest, value),
        other => Err(format!(
            "`{section}` is {other}, wanted a table with `{rest}`"
        )),
    }
}

/// Refuses a key of an older version; `renamed` has old and new paths.
///
/// # Errors
/// The first old key that is in the table, and its new name.
pub fn refuse_renamed(table: &Table, renamed: &[(&str, &str)]) -> Result<(), String> {
    for (old, new) in renamed {
        let (sections, key) = old.rsplit_once('.').unwrap_or(("", old));
        let section = sections
            .split('.')
            .filter(|name| !name.is_empty())
            .try_fold(table, |table, name| table.get(name)?.as_table());
        if section.is_some_and(|section| section.contains_key(key)) {
            return Err(format!("key `{old}` is now called `{new}`"));
        }
    }
    Ok(())
}

/// Refuses keys that are not among `keys` (paths with dots), and names the nearest one. Keys below a
/// path of `open` are free. An array of tables has its keys below its own path.
///
/// # Errors
/// The unknown key and the nearest known one.
pub fn check(table: &Table, keys: &[&str], open: &[&str]) -> Result<(), String> {
    check_below(table, "", keys, open)
}

fn check_below(table: &Table, prefix: &str, keys: &[&str], open: &[&str]) -> Result<(), String> {
    for (name, value) in table {
        let path = format!("{prefix}{name}");
        let inside = format!("{path}.");
        if open.contains(&path.as_str()) {
            continue;
        }
        let section = keys.iter().any(|key| key.starts_with(&inside));
        match value {
            Value::Table(table) if section => check_below(table, &inside, keys, open)?,
            Value::Array(tables) if section => {
                for table in tables.iter().filter_map(Value::as_table) {
                    check_below(table, &inside, keys, open)?;
                }
            }
            _ if section || keys.contains(&path.as_str()) => {}
            _ => return Err(unknown(&path, keys)),
        }
    }
    Ok(())
}

fn unknown(path: &str, keys: &[&str]) -> String {
    match nearest(path, keys) {
        Some(nearest) => format!("unknown key `{path}`; the nearest is `{nearest}`"),
        None => format!("unknown key `{path}`"),
    }
}

/// The name that is most like `name`.
#[must_use]
pub fn nearest<T: AsRef<str>>(name: &str, names: impl IntoIterator<Item = T>) -> Option<T> {
    names
        .into_iter()
        .map(|known| (strsim::jaro_winkler(known.as_ref(), name), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// The paths of everything in a table, with dots; arrays are leaves.
#[must_use]
pub fn paths(table: &Table) -> Vec<String> {
    let mut paths = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) => {
                paths.extend(
                    self::paths(inner)
                        .iter()
                        .map(|path| format!("{name}.{path}")),
                );
            }
            _ => paths.push(name.clone()),
        }
    }
    paths
}

/// An error of TOML on one line.
#[must_use]
pub fn one_line(error: &toml::de::Error) -> String {
    error.to_string().trim().replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_toml_or_text() {
        let cases = [
            ("3", Value::Integer(3)),
            ("[1, 2]", Value::Array(vec![1.into(), 2.into()])),
            ("24h", Value::String("24h".into())),
            ("\"24h\"", Value::String("24h".into())),
            ("1 = 2", Value::String("1 = 2".into())),
        ];
        for (text, wanted) in cases {
            assert_eq!(value(text), wanted, "{text}");
        }
    }

    #[test]
    fn unknown_keys_are_told_with_the_nearest() {
        let keys = ["seed", "loss.id.weight", "camera.name"];
        let table = |text: &str| -> Table { text.parse().unwrap() };
        for good in [
            "seed = 1",
            "loss.id.weight = 1",
            "[[camera]]\nname = \"door\"",
            "free.of.charge = 1",
        ] {
            assert_eq!(check(&table(good), &keys, &["free"]), Ok(()), "{good}");
        }
        let cases = [
            ("sed = 1", "unknown key `sed`; the nearest is `seed`"),
            (
                "loss.id.wight = 1",
                "unknown key `loss.id.wight`; the nearest is `loss.id.weight`",
            ),
            (
                "[[camera]]\nnam = 1",
                "unknown key `camera.nam`; the nearest is `camera.name`",
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(check(&table(text), &keys, &[]), Err(wanted.to_owned()));
        }
        let whole = table("seed = 1\n[loss.id]\nweight = [1]");
        assert_eq!(paths(&whole), ["loss.id.weight", "seed"]);
    }

    #[test]
    fn settings_go_where_their_path_leads() {
        let mut table = Table::new();
        put(&mut table, "a.b.c", 1.into()).unwrap();
        put(&mut table, "a.b.c", 2.into()).unwrap();
        assert_eq!(table["a"]["b"]["c"], 2.into());
        let error = put(&mut table, "a.b.c.d", 3.into()).unwrap_err();
        assert_eq!(error, "`c` is 2, wanted a table with `d`");
    }
}
