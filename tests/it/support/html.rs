//! Pages as a browser's parser reads them, with the errors that it found.

use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

/// A parsed page.
pub(crate) struct Page {
    dom: RcDom,
}

impl Page {
    pub(crate) fn parse(text: &str) -> Self {
        let mut options = ParseOpts::default();
        options.tokenizer.exact_errors = true;
        options.tree_builder.exact_errors = true;
        Self {
            dom: parse_document(RcDom::default(), options).one(text),
        }
    }

    /// The parse errors of the HTML standard, section 13.2.2.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.dom.errors.borrow().iter().map(ToString::to_string).collect()
    }

    /// The elements of this name, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<Element> {
        let mut found = Vec::new();
        collect(&self.dom.document, &mut found);
        found.retain(|element| element.name() == name);
        found
    }

    /// The one element of this name.
    #[track_caller]
    pub(crate) fn one(&self, name: &str) -> Element {
        let mut found = self.all(name);
        assert_eq!(found.len(), 1, "{name}");
        found.remove(0)
    }

    /// All elements.
    pub(crate) fn elements(&self) -> Vec<Element> {
        let mut found = Vec::new();
        collect(&self.dom.document, &mut found);
        found
    }
}

/// An element of a page.
pub(crate) struct Element(Handle);

impl Element {
    pub(crate) fn name(&self) -> String {
        match &self.0.data {
            NodeData::Element { name, .. } => name.local.to_string(),
            _ => String::new(),
        }
    }

    pub(crate) fn attribute(&self, wanted: &str) -> Option<String> {
        match &self.0.data {
            NodeData::Element { attrs, .. } => {
                let attrs = attrs.borrow();
                let found = attrs.iter().find(|attr| &*attr.name.local == wanted)?;
                Some(found.value.to_string())
            }
            _ => None,
        }
    }

    /// The names of all its attributes.
    pub(crate) fn attributes(&self) -> Vec<String> {
        match &self.0.data {
            NodeData::Element { attrs, .. } => {
                let attrs = attrs.borrow();
                attrs.iter().map(|attr| attr.name.local.to_string()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The text in it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        gather(&self.0, &mut text);
        text
    }
}

fn collect(node: &Handle, found: &mut Vec<Element>) {
    if let NodeData::Element { .. } = node.data {
        found.push(Element(node.clone()));
    }
    for child in node.children.borrow().iter() {
        collect(child, found);
    }
}

fn gather(node: &Handle, text: &mut String) {
    if let NodeData::Text { contents } = &node.data {
        text.push_str(&contents.borrow());
    }
    for child in node.children.borrow().iter() {
        gather(child, text);
    }
}
