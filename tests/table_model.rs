//! `RuleTable` against a sorted list.

use flowsieve_testkit::config;
use flowsieve_testkit::table::{Operations, check_operations};
use proptest::prelude::*;

proptest! {
    #![proptest_config(config(4000, "tests/proptest-regressions/table_model.txt"))]

    #[test]
    fn a_table_answers_as_a_sorted_list_does_after_any_operations(operations: Operations) {
        check_operations(&operations);
    }
}
