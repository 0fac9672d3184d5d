//! What documents show is what the code says.

use std::{fs, path::Path};

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
