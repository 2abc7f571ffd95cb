//! Markup that cannot be broken out of: what comes from elsewhere becomes HTML only through [`Html::text`], which
//! escapes it, and attributes are never made of it.

/// A piece of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Html(String);

impl Html {
    /// Nothing.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Markup of our own. It takes literals only.
    pub(crate) fn raw(literal: &'static str) -> Self {
        Self(literal.to_string())
    }

    /// Text, escaped. Characters that steer (controls, reading direction) show as `·`.
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        let mut html = String::with_capacity(text.as_ref().len());
        for c in text.as_ref().chars() {
            match c {
                '&' => html.push_str("&amp;"),
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '"' => html.push_str("&quot;"),
                '\'' => html.push_str("&#39;"),
                '\n' | '\t' => html.push(' '),
                c if c.is_control() || steers(c) => html.push('·'),
                c => html.push(c),
            }
        }
        Self(html)
    }

    /// An element.
    pub(crate) fn el(tag: &'static str, class: &'static str, inner: Html) -> Self {
        let class = if class.is_empty() {
            String::new()
        } else {
            format!(" class=\"{class}\"")
        };
        Self(format!("<{tag}{class}>{}</{tag}>", inner.0))
    }

    /// Text of which every line and space counts, escaped in the same way.
    pub(crate) fn verbatim(text: impl AsRef<str>) -> Self {
        let lines = text.as_ref().lines().map(|l| Self::text(l).0);
        Self(lines.collect::<Vec<_>>().join("\n"))
    }

    /// An element with nothing but text in it.
    pub(crate) fn says(tag: &'static str, class: &'static str, text: impl AsRef<str>) -> Self {
        Self::el(tag, class, Self::text(text))
    }

    /// A bar that begins at `from` per cent of its line and is `width` per cent long.
    pub(crate) fn bar(class: &'static str, from: f64, width: f64) -> Self {
        let (from, width) = (from.clamp(0.0, 100.0), width.clamp(0.0, 100.0));
        Self(format!(
            "<i class=\"{class}\" style=\"left:{from:.2}%;width:{width:.2}%\"></i>"
        ))
    }

    /// The element that carries the report; nothing in it is markup.
    pub(crate) fn carrier(report: &crate::report::Report) -> Self {
        Self(crate::report::seal::carrier(report))
    }

    /// Adds a piece.
    pub(crate) fn push(&mut self, piece: Html) -> &mut Self {
        self.0.push_str(&piece.0);
        self
    }

    /// With another piece after it.
    pub(crate) fn then(mut self, piece: Html) -> Self {
        self.push(piece);
        self
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of the page.
    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<I: IntoIterator<Item = Html>>(pieces: I) -> Self {
        let mut all = Html::new();
        for piece in pieces {
            all.push(piece);
        }
        all
    }
}

fn steers(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A table: headings, and rows of cells.
pub(crate) fn table(class: &'static str, headings: &[&'static str], rows: impl IntoIterator<Item = Vec<Html>>) -> Html {
    let head: Html = headings.iter().map(|h| Html::says("th", "", h)).collect();
    let row = |cells: Vec<Html>| Html::el("tr", "", cells.into_iter().map(|c| Html::el("td", "", c)).collect());
    let body: Html = rows.into_iter().map(row).collect();
    Html::el(
        "table",
        class,
        Html::el("thead", "", Html::el("tr", "", head)).then(Html::el("tbody", "", body)),
    )
}

/// Names and values. Pairs without a value are left out.
pub(crate) fn pairs(pairs: impl IntoIterator<Item = (&'static str, Html)>) -> Html {
    let shown = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    let lines: Html = shown
        .map(|(name, value)| Html::says("dt", "", name).then(Html::el("dd", "", value)))
        .collect();
    if lines.is_empty() {
        lines
    } else {
        Html::el("dl", "", lines)
    }
}

/// A value that is to be read letter by letter.
pub(crate) fn code(text: impl AsRef<str>) -> Html {
    if text.as_ref().is_empty() {
        Html::new()
    } else {
        Html::says("code", "", text)
    }
}

/// A value that is to be copied as it stands, with its lines.
pub(crate) fn exact(text: impl AsRef<str>) -> Html {
    Html::el("code", "exact", Html::verbatim(text))
}

/// A section with its heading; left out when there is nothing in it.
pub(crate) fn section(title: &'static str, lead: &'static str, inner: Html) -> Html {
    if inner.is_empty() {
        return inner;
    }
    let lead = if lead.is_empty() {
        Html::new()
    } else {
        Html::says("p", "lead", lead)
    };
    Html::el("section", "", Html::says("h2", "", title).then(lead).then(inner))
}
