//! Checks that a picture is readable: texts and marks do not overlap, nothing is outside of the
//! canvas, and the text is escaped. It has its own estimate of the width of text.

/// The box around a text or a mark.
struct Extent {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    what: String,
}

/// Classes of marks; the others are bars, lines and texts, which may be behind a text.
const MARKS: [&str; 16] = [
    "accepted",
    "called",
    "refused",
    "success",
    "failed",
    "silent",
    "reaction",
    "rule-failed",
    "cancelled",
    "delivered",
    "undelivered",
    "opened",
    "closed",
    "fired",
    "resolved",
    "notice",
];

/// What is wrong with a picture; empty if it is readable.
pub(super) fn problems(svg: &str) -> Vec<String> {
    let mut lines = svg.lines();
    let (head, style) = (lines.next().unwrap(), lines.next().unwrap());
    let size = attribute(head, "viewBox").expect("a viewBox");
    let size: Vec<f64> = size.split(' ').map(|text| text.parse().unwrap()).collect();
    let canvas = (size[2], size[3]);
    let mut problems = Vec::new();
    let mut extents = Vec::new();
    // The background, which is as large as the canvas.
    for line in lines.skip(1).filter(|line| *line != "</svg>") {
        problems.extend(invalid(line));
        let extent = extent(line, style);
        if extent.left < 0.0
            || extent.top < 0.0
            || extent.right > canvas.0
            || extent.bottom > canvas.1
        {
            problems.push(format!("outside of {canvas:?}: {}", extent.what));
        }
        let class = attribute(line, "class").unwrap_or_default();
        if line.starts_with("<text") || MARKS.contains(&class) {
            extents.push(extent);
        }
    }
    problems.extend(overlapping(extents));
    problems
}

fn overlapping(mut extents: Vec<Extent>) -> Vec<String> {
    extents.sort_by(|a, b| a.top.total_cmp(&b.top));
    let mut problems = Vec::new();
    for (i, one) in extents.iter().enumerate() {
        let below = extents[i + 1..].iter();
        for other in below.take_while(|other| other.top < one.bottom) {
            if other.left < one.right && one.left < other.right {
                problems.push(format!("overlap: {} and {}", one.what, other.what));
            }
        }
    }
    problems
}

/// Characters that XML does not allow, and those that change the direction of text.
fn invalid(line: &str) -> Option<String> {
    let is_shape = line.ends_with("/>") && line.matches('<').count() == 1;
    let is_text = line.starts_with("<text ") && line.ends_with("</text>");
    let mut problem = (!is_shape && !is_text).then(|| format!("unknown element: {line}"));
    if is_text {
        let content = content(line);
        let entities = ["amp;", "lt;", "gt;", "quot;"];
        let mut references = content.split('&').skip(1);
        if content.contains(['<', '>'])
            || content.contains(char::is_control)
            || !references.all(|rest| entities.iter().any(|name| rest.starts_with(name)))
        {
            problem = Some(format!("not escaped: {line}"));
        }
    }
    problem
}

/// The text of a text element.
fn content(line: &str) -> &str {
    let from = line.find('>').unwrap() + 1;
    &line[from..line.len() - "</text>".len()]
}

fn extent(line: &str, style: &str) -> Extent {
    let number = |name| attribute(line, name).map(|text| text.parse::<f64>().unwrap());
    let get = |name| number(name).unwrap_or_else(|| panic!("{name} of {line}"));
    let (left, right, top, bottom) = if line.starts_with("<text") {
        let class = attribute(line, "class").unwrap();
        let (size, is_bold) = font(style, class);
        let (x, y) = (get("x"), get("y"));
        let bold = if is_bold { 1.12 } else { 1.0 };
        let width: f64 = unescaped(content(line)).chars().map(ems).sum::<f64>() * size * bold;
        (x, x + width, y - 0.8 * size, y + 0.22 * size)
    } else if line.starts_with("<circle") {
        let (x, y, r) = (get("cx"), get("cy"), get("r"));
        (x - r, x + r, y - r, y + r)
    } else if line.starts_with("<rect") {
        let (x, y) = (get("x"), get("y"));
        assert!(get("width") >= 0.0, "{line}");
        (x, x + get("width"), y, y + get("height"))
    } else if line.starts_with("<line") {
        let (x1, x2, y1, y2) = (get("x1"), get("x2"), get("y1"), get("y2"));
        (x1.min(x2), x1.max(x2), y1.min(y2), y1.max(y2))
    } else {
        let points = attribute(line, "points").unwrap().split(' ');
        let points = points.map(|point| point.split_once(',').unwrap());
        let (x, y): (Vec<f64>, Vec<f64>) = points
            .map(|(x, y)| (x.parse::<f64>().unwrap(), y.parse::<f64>().unwrap()))
            .unzip();
        let least = |values: &[f64]| values.iter().copied().fold(f64::MAX, f64::min);
        let most = |values: &[f64]| values.iter().copied().fold(f64::MIN, f64::max);
        (least(&x), most(&x), least(&y), most(&y))
    };
    Extent {
        left,
        right,
        top,
        bottom,
        what: line.to_owned(),
    }
}

/// The size of the text of a class, and whether it is bold.
fn font(style: &str, class: &str) -> (f64, bool) {
    let rule = format!(".{class}{{font-size:");
    let at = style.find(&rule).unwrap_or_else(|| panic!("{class}"));
    let rest = &style[at + rule.len()..];
    let (size, rest) = rest.split_once("px").unwrap();
    let is_bold = rest.starts_with(";font-weight:700");
    let size: f64 = size.parse().unwrap();
    assert!(size >= 11.0, "{class} is too small to read");
    (size, is_bold)
}

/// The width of a character as a factor of the size.
fn ems(character: char) -> f64 {
    match character {
        _ if "fijlrtI.,:;'|!()[]/- ".contains(character) => 0.4,
        _ if "mwMW@%".contains(character) => 0.96,
        'A'..='Z' => 0.76,
        ' '..='~' => 0.63,
        '\u{1f000}'.. => 1.25,
        _ => 1.0,
    }
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}

/// The value of an attribute.
fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let tag = &line[..line.find('>')?];
    let at = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    tag[at..].split('"').next()
}
