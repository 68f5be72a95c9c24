use super::*;

/// As the programs' own, in short.
fn printable(text: &str) -> Cow<'_, str> {
    match text.contains(['\0', '\n']) || text.contains("secret") {
        true => text
            .replace('\0', "\\0")
            .replace('\n', "\\n")
            .replace("secret", "***")
            .into(),
        false => text.into(),
    }
}

fn page(header: &Header<'_>, parts: Vec<Markup>) -> String {
    let mut out = Vec::new();
    let mut page = Page::new(&mut out, printable, header).unwrap();
    page.section("Section", "note", "cards", parts).unwrap();
    page.end("the end").unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn no_text_is_markup_and_all_of_it_is_printable() {
    let hostile = "<script src=//x>\"&</style>\0\nsecret";
    let header = Header {
        title: hostile,
        subject: hostile.to_owned(),
        alerts: vec![hostile.to_owned()],
        tiles: vec![(hostile.to_owned(), hostile)],
        facts: vec![(hostile, hostile.to_owned())],
    };
    let text = html! { (hostile) };
    let parts = vec![
        figure(Some(b"jpeg"), hostile, hostile, &text),
        table(
            hostile,
            &[hostile, hostile],
            &html! { tr { th { (hostile) } td { (hostile) } } },
        ),
    ];
    let page = page(&header, parts);
    let shown = "&lt;script src=//x&gt;&quot;&amp;&lt;/style&gt;\\0\\n***";
    // Title, header, figure and table: names of columns stand in the style as well.
    assert_eq!(page.matches(shown).count(), 2 + 7 + 3 + 7, "{page}");
    assert!(!page.contains("<script") && !page.contains("secret") && !page.contains('\0'));
    assert_eq!(page.matches("</style>").count(), 1);
    let svg = svg(printable, hostile, [1.0, 1.0], &text);
    assert_eq!(svg.matches(shown).count(), 2, "{svg}");
}

#[test]
fn a_page_is_whole_and_asks_for_nothing() {
    let header = Header {
        title: "Title",
        ..Header::default()
    };
    let page = page(&header, vec![html! { "part" }]);
    let order = [
        "<!doctype html>\n<html lang=\"en\">",
        "default-src 'none'",
        "prefers-color-scheme: dark",
        "<title>Title</title>",
        "<header><h1>Title</h1>",
        "<main><section><h2>Section</h2>",
        "part</div></section></main><footer>",
        "the end",
        "</body></html>\n",
    ];
    let at: Vec<usize> = order
        .map(|text| {
            page.find(text)
                .unwrap_or_else(|| panic!("no {text}: {page}"))
        })
        .to_vec();
    assert!(at.is_sorted(), "{at:?}");
    for never in ["http:", "https:", "@import", "url(", "<link", "<script"] {
        assert!(!page.contains(never), "{never}");
    }
}

#[test]
fn a_table_names_its_columns_to_the_style() {
    let rows = html! { tr { th { "a" } td { "1" } } };
    let table = table("name", &["what", "how many"], &rows).0;
    for wanted in [
        "--c2:'how many';",
        "<th>how many</th>",
        "<tbody><tr><th>a</th><td>1</td></tr></tbody>",
    ] {
        assert!(table.contains(wanted), "{table}");
    }
}

#[test]
fn pictures_are_inside() {
    let with = figure(Some(&[0xff, 0xef, 0xbe]), "anna", "", &html! { "caption" }).0;
    assert!(
        with.contains(r#"<img alt="anna" src="data:image/jpeg;base64,/+++">"#),
        "{with}"
    );
    let without = figure(None, "anna", "", &html! { "caption" }).0;
    assert!(without.contains("no picture") && !without.contains("<img"));
}

/// `overflow-wrap: anywhere` lets a column of a full table shrink to one letter, since it counts
/// every place between two letters as one where the line may end (CSS Text 3, 5.5).
#[test]
fn cells_keep_their_words() {
    let rules = PAGE_STYLE.lines();
    let cells: Vec<&str> = rules
        .filter(|rule| {
            ["td", "th"]
                .iter()
                .any(|cell| rule.trim_start().starts_with(cell))
        })
        .collect();
    assert!(cells.len() > 4);
    assert!(
        cells.iter().all(|rule| !rule.contains("anywhere")),
        "{cells:?}"
    );
}
