//! What must not compile, and the sentence that says what to do instead.

#[test]
fn a_wrong_declaration_does_not_compile_and_says_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
