//! What documents show is what the code says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The documents that show the machines' diagrams between markers that name the file.
const WITH_DIAGRAMS: [&str; 2] = ["README.md", "docs/architecture.md"];

#[test]
fn documents_show_the_diagrams_that_were_drawn_from_the_machines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in WITH_DIAGRAMS {
        let path = root.join(document);
        let text = fs::read_to_string(&path).expect("the document is there");
        let (shown, count) = with_diagrams(root, &text);
        assert!(count > 0, "{document} shows a diagram");
        if std::env::var_os("BEAMQ_BLESS").is_some() {
            fs::write(&path, shown).expect("the document can be written");
        } else {
            assert!(shown == text, "{document} shows old diagrams: run the tests with BEAMQ_BLESS=1");
        }
    }
}

/// The text with each diagram as its file has it, and how many there are.
fn with_diagrams(root: &Path, text: &str) -> (String, usize) {
    let mut shown = String::new();
    let mut rest = text;
    let mut count = 0;
    while let Some((before, after)) = rest.split_once("<!-- machines/") {
        let (file, after) = after.split_once(" -->").expect("the marker ends");
        let (_, after) = after.split_once("<!-- end -->").expect("the diagram ends");
        let diagram = fs::read_to_string(root.join("machines").join(file)).expect("the diagram is there");
        let notes = diagram.lines().filter(|line| !line.trim_start().starts_with("%%"));
        let diagram = notes.collect::<Vec<_>>().join("\n");
        shown += before;
        shown += &format!("<!-- machines/{file} -->\n```mermaid\n{diagram}\n```\n<!-- end -->");
        rest = after;
        count += 1;
    }
    (shown + rest, count)
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents: Vec<_> =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name)).into();
    for entry in fs::read_dir(root.join("docs")).expect("the documents are there") {
        documents.push(entry.expect("the folder can be read").path());
    }
    let mut broken = Vec::new();
    for document in documents.iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(document).expect("the document is there");
        for target in text.split("](").skip(1).filter_map(|part| part.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            if !document.parent().expect("a folder").join(file).exists() {
                broken.push(format!("{} → {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere: {broken:#?}");
}

/// Where findings are made.
const FINDERS: [&str; 5] = ["src/catalogue", "src/dryrun", "src/cli/check", "src/cli/check.rs", "src/server"];

/// The ways in which the code gives a finding its code.
const GIVES_CODE: [&str; 5] = [
    r#"\bcode: "([a-z][a-z_0-9]*)""#,
    r#"\.(?:error|warning)\(\s*&[^"]{0,60}?"([a-z]+(?:_[a-z]+)+)""#,
    r#"Severity::\w+,\s*"([a-z][a-z_0-9]*)""#,
    r#"\b(?:syntax|unreadable|refuse|note|finding)\(\s*[^"();]{0,40}?"([a-z][a-z_0-9]*)""#,
    r#"SYNTAX_ERROR: &str = "([a-z][a-z_0-9]*)""#,
];

fn sources(path: &Path, found: &mut Vec<String>) {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("the folder can be read");
        entries.for_each(|entry| sources(&entry.expect("an entry").path(), found));
    } else if path.extension().is_some_and(|end| end == "rs" || end == "py")
        && !path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains("tests"))
    {
        found.push(fs::read_to_string(path).expect("the source is there"));
    }
}

#[test]
fn every_finding_is_explained_with_an_example_and_what_to_do() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    FINDERS.iter().for_each(|place| sources(&root.join(place), &mut texts));
    let mut codes = BTreeSet::new();
    for pattern in GIVES_CODE {
        let pattern = regex::Regex::new(pattern).expect("a pattern");
        for text in &texts {
            codes.extend(pattern.captures_iter(text).map(|found| found[1].to_owned()));
        }
    }
    // What people were shown for mistakes has codes, too.
    let shown = regex::Regex::new(r"(?m)^(?:error|warning|note)\[([a-z_0-9]+)\]").expect("a pattern");
    let mut goldens = vec![root.join("tests/fixtures/scripts/mistakes.txt")];
    let mistakes =
        fs::read_dir(root.join("tests/fixtures/catalogue/mistakes")).expect("the mistakes are there");
    goldens.extend(mistakes.map(|entry| entry.expect("an entry").path()));
    for golden in goldens {
        let text = fs::read_to_string(golden).expect("the golden file is there");
        codes.extend(shown.captures_iter(&text).map(|found| found[1].to_owned()));
    }
    codes.extend(beamq::dryrun::simulation::CODES.map(str::to_owned));
    codes.extend(beamq::dryrun::nicos::CODES.map(str::to_owned));
    assert!(codes.len() >= 50, "{codes:?}");

    let page = fs::read_to_string(root.join("docs/errors.md")).expect("the document is there");
    let (_, page) = page.split_once("\n# Findings\n").expect("the part about findings");
    let rows: BTreeMap<&str, Vec<&str>> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
            let code = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
            Some((code, cells.collect()))
        })
        .collect();
    let documented: BTreeSet<String> = rows.keys().map(|code| (*code).to_owned()).collect();
    assert_eq!(codes, documented, "the codes that are given, and those in docs/errors.md");
    for (code, cells) in rows {
        assert!(cells.len() == 3 && cells.iter().all(|cell| cell.len() > 3), "{code}: {cells:?}");
    }
}
