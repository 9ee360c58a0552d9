//! Shared rows whose result differs from the label by design.

/// Rows that differ for one reason.
pub(crate) struct Difference {
    pub(crate) reason: &'static str,
    pub(crate) rows: &'static [&'static str],
}

pub(crate) const AWS: &[Difference] = &[
    Difference {
        reason: "absence is decided after the other fields have chosen an array element",
        rows: &["quamina/TestZZ/033", "probe/0700"],
    },
    Difference {
        reason: "text after the JSON document of an event is rejected",
        rows: &["probe/0026"],
    },
    Difference {
        reason: "an unpaired surrogate is rejected",
        rows: &["probe/0080", "probe/0081"],
    },
    Difference {
        reason: "ignoring case, a title-case letter matches itself",
        rows: &["probe/0283"],
    },
    Difference {
        reason: "every spelling of an address is one value, also in `anything-but`",
        rows: &["probe/0648", "probe/0838"],
    },
];

/// For patterns translated by `shared::from_quamina`.
pub(crate) const QUAMINA: &[Difference] = &[
    Difference {
        reason: "text after the pattern is rejected",
        rows: &["quamina/TestExerciseMatching/015"],
    },
    Difference {
        reason: "empty patterns and empty arrays of alternatives are rejected",
        rows: &["quamina/TestZZ/001", "quamina/TestZZ/002"],
    },
    Difference {
        reason: "numbers compare by their exact value, not rounded to doubles",
        rows: &["quamina/TestZZ/004", "quamina/TestZZ/005"],
    },
    Difference {
        reason: "dotted and nested keys are one path",
        rows: &["quamina/TestZZ/006"],
    },
    Difference {
        reason: "the later of two constraints on one path is used",
        rows: &["quamina/TestZZ/009", "quamina/TestZZ/010"],
    },
    Difference {
        reason: "more operators, and several of them in one array",
        rows: &[
            "quamina/TestZZ/011",
            "quamina/TestZZ/018",
            "quamina/TestZZ/019",
            "quamina/TestZZ/021",
            "quamina/TestZZ/022",
            "quamina/TestZZ/023",
            "quamina/TestZZ/024",
        ],
    },
    Difference {
        reason: "ignoring case, a character matches its full upper-case form",
        rows: &["quamina/TestZZ/026"],
    },
    Difference {
        reason: "every value of a duplicate key counts",
        rows: &["quamina/TestZZ/031"],
    },
    Difference {
        reason: "an exact address is equal to its other spellings",
        rows: &["quamina/TestZZ/032"],
    },
    Difference {
        reason: "absence is decided after the other fields have chosen an element",
        rows: &["quamina/TestZZ/034"],
    },
    Difference {
        reason: "labelled by an engine without `regexp` and `shellstyle`",
        rows: &["probe/0878", "probe/0879"],
    },
];
