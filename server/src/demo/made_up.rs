//! Names and numbers that look real and are nobody's, and chance that is the same every time.

/// Chance that is the same at every start (SplitMix64).
pub struct Chance(u64);

impl Chance {
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of these, the first and the last included.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from + 1)
    }

    /// Is it so, this often of a hundred times?
    pub fn percent(&mut self, often: u64) -> bool {
        self.between(1, 100) <= often
    }

    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        let last = u64::try_from(all.len()).unwrap_or(1) - 1;
        let index = usize::try_from(self.between(0, last)).unwrap_or_default();
        all[index.min(all.len() - 1)]
    }
}

/// A client: name, industry, street, post code, city, country.
pub type Company = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

/// The clients of the firm.
pub const COMPANIES: [Company; 20] = [
    ("Weidenhof Gärtnerei GmbH", "Horticulture", "Weidenallee 12", "04157", "Leipzig", "DE"),
    ("Kranich & Partner Architekten", "Architecture", "Lindenstraße 7", "10969", "Berlin", "DE"),
    ("Bäckerei Sonnenfeld OHG", "Food", "Marktplatz 3", "99084", "Erfurt", "DE"),
    ("Nordsee Logistik GmbH", "Logistics", "Hafenstraße 88", "27568", "Bremerhaven", "DE"),
    ("Steinbach Maschinenbau AG", "Mechanical engineering", "Industriestraße 41", "70565", "Stuttgart", "DE"),
    ("Praxis Dr. Hallmann", "Medicine", "Goethestraße 19", "80336", "München", "DE"),
    ("Lichtblick Filmproduktion GmbH", "Media", "Schanzenstraße 22", "51063", "Köln", "DE"),
    ("Eulenspiegel Verlag KG", "Publishing", "Brühl 5", "38100", "Braunschweig", "DE"),
    ("Taunus Solar GmbH", "Energy", "Am Sonnenhang 2", "61348", "Bad Homburg", "DE"),
    ("Hofmann Dachtechnik", "Construction", "Ringstraße 60", "90402", "Nürnberg", "DE"),
    ("Bremer Kaffeekontor GmbH", "Trade", "Am Wall 140", "28195", "Bremen", "DE"),
    ("Alpenblick Hotelbetriebe GmbH", "Hospitality", "Seestraße 9", "83684", "Tegernsee", "DE"),
    ("Quantwerk Software GmbH", "Software", "Torstraße 201", "10115", "Berlin", "DE"),
    ("Morgenthau Immobilien KG", "Real estate", "Kaiserstraße 33", "60329", "Frankfurt am Main", "DE"),
    ("Fahrradhaus Lindner", "Retail", "Kanalstraße 14", "48147", "Münster", "DE"),
    ("Elbe Bootsbau GmbH", "Shipbuilding", "Werftweg 1", "22605", "Hamburg", "DE"),
    ("Van der Meer Textiel B.V.", "Textiles", "Keizersgracht 312", "1016 EX", "Amsterdam", "NL"),
    ("Atelier Beaumont SARL", "Design", "12 rue Oberkampf", "75011", "Paris", "FR"),
    ("Huber Landtechnik GmbH", "Agriculture", "Salzburger Straße 48", "4840", "Vöcklabruck", "AT"),
    ("Kulturverein Speicher e.V.", "Culture", "Am Speicher 6", "18055", "Rostock", "DE"),
];

/// People's first names.
pub const FIRST_NAMES: [&str; 24] = [
    "Anna", "Jonas", "Miriam", "Felix", "Lena", "Tobias", "Sophie", "David", "Clara", "Henrik", "Nora", "Paul", "Ida",
    "Matthias", "Eva", "Lukas", "Ruth", "Simon", "Greta", "Johannes", "Helene", "Jan", "Martha", "Oskar",
];

/// People's last names.
pub const LAST_NAMES: [&str; 24] = [
    "Albrecht",
    "Brandt",
    "Claassen",
    "Dreyer",
    "Ebert",
    "Falk",
    "Gerlach",
    "Hartwig",
    "Ingwersen",
    "Jansen",
    "Keller",
    "Lorenz",
    "Mertens",
    "Neumann",
    "Oster",
    "Petersen",
    "Quandt",
    "Riedel",
    "Seidel",
    "Thiele",
    "Ulrich",
    "Vogel",
    "Winter",
    "Zander",
];

/// What people at clients do.
pub const TITLES: [&str; 6] =
    ["Managing director", "Head of finance", "Office manager", "Owner", "Controller", "Head of operations"];

/// A piece of work: what it is called, its tasks.
pub type Work = (&'static str, [&'static str; 5]);

/// What the firm does for its clients.
pub const WORKS: [Work; 6] = [
    (
        "Annual accounts",
        [
            "Collect the papers",
            "Reconcile the accounts",
            "Draw up the balance sheet",
            "Discuss the draft",
            "File the accounts",
        ],
    ),
    (
        "Monthly bookkeeping",
        [
            "Sort the receipts",
            "Post the bank statements",
            "Check open items",
            "File the VAT return",
            "Report the month",
        ],
    ),
    (
        "Payroll",
        [
            "Take over the master data",
            "Set up the tax classes",
            "Run the first month",
            "Report to the insurers",
            "Hand over the slips",
        ],
    ),
    (
        "Tax return",
        ["Ask for the papers", "Work out the income", "Check the deductions", "Have it signed", "File the return"],
    ),
    (
        "Business plan",
        ["Talk to the founders", "Forecast the sales", "Forecast the cash", "Write the plan", "Talk to the bank"],
    ),
    (
        "Tax audit",
        ["Read the order", "Make the data ready", "Answer the auditor", "Review the findings", "Close the audit"],
    ),
];

/// What is written in threads with clients.
pub const MESSAGES: [&str; 8] = [
    "Could you send us the bank statements of last month, please?",
    "They are in the portal now. One page is missing, it follows tomorrow.",
    "Thank you. We found two receipts without an invoice; do you still have them?",
    "The tax office asks for the contract of the new van. Shall we answer for you?",
    "Yes, please. The contract is attached in the folder for correspondence.",
    "The draft of the accounts is ready. When may we call you about it?",
    "Thursday at ten is fine for us.",
    "Everything is filed. The assessment takes about six weeks.",
];

/// What is noted about clients.
pub const NOTES: [&str; 6] = [
    "Prefers to be called in the morning.",
    "Wants to hand the firm over to the daughter in three years.",
    "Pays late in summer and always in full.",
    "Asked whether we could take over payroll, too.",
    "Met at the chamber's evening; knows several of our clients.",
    "Has a second company abroad, which another adviser looks after.",
];
