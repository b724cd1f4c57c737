//! Which test shows which promise about states, inspection, lifetimes, owners, services, keys, sorting and
//! filters; what no test can show has a command for whom it concerns.

use std::{fs, path::Path};

/// Promises by number, with the tests that show them.
const SHOWN: &[(&str, &[&str])] = &[
    (
        "ST1",
        &[
            "st1_an_active_close_ends_in_time_wait",
            "st1_a_passive_close_ends_in_closed",
            "st1_both_ends_may_close_at_once",
        ],
    ),
    (
        "ST2",
        &[
            "st2_the_state_is_that_of_the_local_end",
            "st2_a_reset_counts_only_within_the_window",
            "st2_the_state_is_the_initiators_where_both_ends_are_local_or_none_is",
        ],
    ),
    (
        "ST3",
        &[
            "st3_quic_connects_and_the_last_states_follow_from_what_can_be_read",
            "st3_both_sides_closes_make_it_closed",
        ],
    ),
    (
        "ST4",
        &["st4_dns_waits_is_answered_and_asks_again", "st4_over_tcp_dns_and_tcp_states_both_find_the_row"],
    ),
    ("ST5", &["st5_ssh_shows_how_far_it_is", "f13_filters_find_what_frames_said"]),
    (
        "ST6",
        &[
            "st6_udp_is_named_by_its_silence",
            "rows_turn_yellow_at_three_quarters_of_their_lifetime_and_red_over_nine_tenths",
        ],
    ),
    ("ST7", &["st7_messages_have_states_of_their_own"]),
    (
        "ST8",
        &[
            "st7_and_st8_messages_have_names_and_the_rest_is_active_up_to_15_s",
            "screens_of_every_size",
            "st8_other_protocols_are_active_up_to_15_s_and_then_idle",
            "st8_protocols_have_names_or_numbers_and_without_ports_nothing_stands_for_them",
        ],
    ),
    ("D1", &["every_cut_of_a_request_and_its_answer_says_the_same"]),
    (
        "D2",
        &[
            "cutting_and_swapping_the_segments_of_captures_changes_nothing",
            "d2_tls_from_frames_is_named_on_the_screen_however_its_hello_is_cut",
        ],
    ),
    ("D3", &["what_a_host_does_is_on_the_screen_at_every_size"]),
    ("D4", &["st5_ssh_shows_how_far_it_is"]),
    ("D5", &["st3_quic_connects_and_the_last_states_follow_from_what_can_be_read"]),
    ("D6", &["d8_the_column_is_label_and_fact"]),
    ("D7", &["what_a_flow_speaks_is_known_on_any_port_and_never_by_it"]),
    (
        "D8",
        &[
            "d8_the_column_is_label_and_fact",
            "d8_a_name_from_elsewhere_has_a_sign_and_gives_way_to_the_flow_s_own",
            "d8_echoes_have_their_number_and_time_and_arp_replies_their_address",
            "d8_names_that_answers_gave_have_a_sign_until_the_flow_says_one",
            "services_and_facts_are_those_of_the_program",
        ],
    ),
    (
        "L1-L16",
        &[
            "every_row_of_the_table_of_lifetimes_holds",
            "a_new_syn_begins_a_new_row_only_where_the_old_one_is_over",
            "l16_a_new_initial_on_closed_ends_is_a_new_row",
        ],
    ),
    (
        "L17",
        &[
            "l17_staleness_has_its_steps_at_75_90_and_100_percent",
            "l17_colours_of_themes_have_contrast_to_their_background",
            "l17_backgrounds_are_told_and_what_is_typed_meanwhile_is_kept",
            "l17_http_is_white_to_seven_and_a_half_minutes_yellow_to_nine_and_red_to_ten",
            "l17_a_light_background_picks_the_light_theme",
        ],
    ),
    (
        "L18",
        &[
            "l18_the_first_second_of_a_steady_flow_counts_at_its_real_length",
            "l18_a_packet_and_a_burst_count_as_what_came",
            "l18_l19_frames_make_the_rate_of_the_last_second_and_of_their_own_time_alone",
            "l18_a_rate_that_fades_is_yellow_or_marked",
        ],
    ),
    (
        "L19",
        &[
            "l19_a_file_ends_after_a_span_of_its_own_time",
            "l18_l19_frames_make_the_rate_of_the_last_second_and_of_their_own_time_alone",
            "every_row_of_the_table_of_lifetimes_holds",
        ],
    ),
    (
        "PR1-PR6",
        &[
            "short_connections_have_their_process",
            "what_was_open_before_is_attributed_by_both_methods",
            "threads_of_browsers_are_never_named",
            "pr4_details_tell_command_executable_user_and_parents",
        ],
    ),
    (
        "PR9",
        &[
            "pr9_the_processes_of_a_file_are_not_known_to_anybody",
            "every_tab_at_every_size",
            "pr9_many_unknown_owners_are_a_chip_that_names_the_remedy",
        ],
    ),
    ("PR10", &["threads_of_browsers_are_never_named"]),
    ("SV1", &["services_have_names_only_where_they_are_known"]),
    ("SV2", &["interfaces_and_plan_need_no_privileges", "default_is_the_best_route_then_the_first_fit"]),
    ("K1", &["quitting_takes_two_keys_and_any_other_stays", "k1_any_other_key_stays_wherever_one_is"]),
    ("K2", &["quitting_takes_two_keys_and_any_other_stays", "k2_ctrl_c_quits_wherever_one_is"]),
    ("K3", &["k3_tabs_go_round_and_keep_their_places", "k3_tabs_of_text_keep_how_far_one_has_scrolled"]),
    ("K4", &["keys_move_the_selection"]),
    (
        "K5",
        &[
            "keys_move_the_selection",
            "the_first_row_is_selected_until_one_moves_and_the_newest_after_g",
            "k5_in_another_order_the_last_row_is_not_followed",
        ],
    ),
    ("K6", &["keys_move_the_selection"]),
    ("K7", &["k3_tabs_go_round_and_keep_their_places"]),
    (
        "K8",
        &[
            "k8_esc_goes_live_and_leaves_sums_which_a_and_r_close",
            "k8_esc_closes_the_first_that_applies_and_never_quits",
            "k8_esc_goes_back_by_the_tabs_that_one_came_by",
            "f1_esc_in_the_line_closes_it_and_clears_the_filter",
        ],
    ),
    (
        "K9",
        &[
            "k9_the_remote_end_is_copied_in_full",
            "k9_the_clipboard_is_reached_through_tmux_and_screen",
            "k9_what_was_copied_is_told_for_three_seconds",
        ],
    ),
    ("K10", &["services_have_names_only_where_they_are_known"]),
    ("K11", &["so1_the_key_s_goes_round", "so1_to_so5_sorting_is_shown_in_header_and_title"]),
    (
        "K12",
        &[
            "help_lists_every_key_and_scrolls",
            "k8_esc_goes_back_by_the_tabs_that_one_came_by",
            "k17_help_has_every_key_and_k12_scrolls_to_its_end",
        ],
    ),
    ("K13", &["f1_the_table_follows_each_key_of_the_filter"]),
    (
        "K14",
        &[
            "k14_a_frozen_table_stands_still_and_says_so",
            "k14_tables_and_details_stand_still_and_the_head_goes_on",
            "k14_selection_order_and_copies_work_on_what_is_frozen",
            "k14_what_is_written_of_a_frozen_view_are_its_rows",
            "k14_it_goes_live_with_the_selection_kept",
        ],
    ),
    (
        "K15",
        &[
            "k15_like_this_and_groups_become_filters",
            "k15_terms_of_rows_and_groups_are_filters",
            "k15_groups_of_what_has_ended_have_no_rows_to_filter",
            "k15_rows_without_a_process_are_found_by_what_their_cell_shows",
            "k15_a_value_of_any_sort_column_becomes_a_filter",
            "k15_a_process_of_any_name_is_found_by_it",
            "k15_enter_on_a_host_shows_its_connections_and_esc_returns",
        ],
    ),
    (
        "K16",
        &[
            "k16_marks_columns_and_bits",
            "k16_groups_open_to_their_rows_and_close",
            "k16_groups_open_to_ended_rows_too_where_those_are_shown",
            "k16_ended_rows_come_with_their_key_and_are_cleared_by_two",
            "k16_interfaces_and_sockets_that_wait_are_listed",
            "k16_the_view_and_the_counts_can_be_reset_and_the_screen_redrawn",
            "k16_columns_are_kept_and_the_rest_of_the_file_stays",
        ],
    ),
    (
        "K17",
        &[
            "k17_the_palette_finds_every_action",
            "help_lists_every_key_and_scrolls",
            "k17_every_action_is_in_the_palette_with_its_key",
            "k17_what_cannot_be_done_now_is_dim_and_says_why",
            "k17_help_has_every_key_and_k12_scrolls_to_its_end",
            "k17_the_last_line_always_tells_the_way_to_help_and_out",
            "k17_the_last_line_tells_only_keys_that_work_here",
        ],
    ),
    (
        "K18",
        &[
            "k18_seven_forms_can_be_copied",
            "k18_messages_have_room_on_every_screen",
            "details_stay_in_their_places",
            "k18_the_filter_of_a_row_finds_it_and_no_other",
            "k18_forms_of_other_protocols_are_theirs",
        ],
    ),
    (
        "K19",
        &[
            "k19_the_form_of_an_export_is_asked_for",
            "k19_the_frames_of_all_shown_rows_are_written_until_the_key_comes_again",
            "k19_the_frames_of_named_flows_are_in_the_file_and_no_others",
            "k19_sums_are_written_where_sums_are_shown_and_pipeline_as_text",
            "k19_every_host_is_a_line_whatever_the_window",
            "k19_a_process_is_a_line_with_its_pids_and_ports",
            "k19_rows_are_lines_of_as_many_fields_as_there_are_names",
            "k19_rows_of_the_view_become_new_files_and_f1_filters_are_kept_for_their_owner_only",
        ],
    ),
    (
        "K20",
        &[
            "k20_the_mouse_reaches_tabs_headers_and_rows",
            "k20_the_wheel_moves_by_three_rows",
            "k20_the_mouse_is_asked_for_unless_it_is_left_to_the_terminal",
        ],
    ),
    ("SO1", &["so1_the_key_s_goes_round", "so1_every_sort_orders_by_what_its_column_shows"]),
    ("SO2", &["screens_of_every_size", "so2_without_a_choice_the_oldest_is_first"]),
    (
        "SO3",
        &[
            "so3_the_sort_column_is_always_shown_and_columns_can_be_chosen",
            "so1_to_so5_sorting_is_shown_in_header_and_title",
            "so3_each_column_comes_with_its_direction_and_keeps_the_other_one",
            "so3_services_sort_by_what_is_shown_of_them",
        ],
    ),
    (
        "SO4",
        &[
            "so4_the_arrow_of_the_sort_column_always_has_room",
            "so1_to_so5_sorting_is_shown_in_header_and_title",
            "so3_each_column_comes_with_its_direction_and_keeps_the_other_one",
        ],
    ),
    (
        "SO5",
        &[
            "so1_to_so5_sorting_is_shown_in_header_and_title",
            "so3_each_column_comes_with_its_direction_and_keeps_the_other_one",
        ],
    ),
    ("SO6", &["columns_come_with_width"]),
    ("SO7", &["so1_every_sort_orders_by_what_its_column_shows"]),
    ("SO8", &["so8_the_order_outlives_filters"]),
    (
        "SO9",
        &[
            "the_selection_stays_on_its_connection",
            "a_selected_row_that_ends_stays_until_one_moves",
            "so9_the_selection_stays_on_its_connection_when_the_order_turns",
            "so9_a_selected_row_that_has_ended_is_dim",
        ],
    ),
    (
        "SO10",
        &[
            "so10_rates_keep_rows_in_their_places_unless_that_is_off",
            "so10_after_five_seconds_the_order_is_exact",
            "so10_the_order_is_exact_when_a_key_asks_for_it_frozen_and_in_files",
            "so10_rows_change_places_after_two_refreshes_or_five_seconds",
        ],
    ),
    (
        "SO11",
        &[
            "so11_columns_become_narrower_and_wider_again_but_ports_stay",
            "so11_a_name_is_cut_and_never_its_pid",
            "columns_grow_at_once_and_shrink_after_five_seconds",
        ],
    ),
    (
        "F1",
        &[
            "f1_the_table_follows_each_key_of_the_filter",
            "f1_lines_are_edited_by_characters_and_words",
            "f1_what_was_entered_comes_back",
            "f1_tab_completes_keywords_and_values",
            "f1_tab_completes_values_of_rows_quoted_where_they_must_be",
            "f1_tab_completes_what_the_rows_hold_and_shows_the_candidates",
            "f1_further_tabs_go_through_the_candidates",
            "f1_every_printable_key_can_be_typed",
            "f1_keys_edit_the_line_where_its_cursor_is",
            "f1_pasted_text_is_typed",
            "f1_arrows_move_the_selection_while_one_types",
            "f1_esc_in_the_line_closes_it_and_clears_the_filter",
            "f1_earlier_filters_come_back_by_their_keys",
            "f1_filters_of_earlier_runs_come_back_by_their_key",
            "k19_rows_of_the_view_become_new_files_and_f1_filters_are_kept_for_their_owner_only",
        ],
    ),
    (
        "F2-F12",
        &[
            "f2_to_f16_terms_hold_for_what_they_name",
            "f2_what_stands_for_a_process_is_found",
            "f7_names_that_a_caller_says_belong_to_the_end_that_is_called",
            "f13_filters_find_what_frames_said",
            "f2_plain_words_look_in_every_fact",
        ],
    ),
    (
        "F13",
        &[
            "f13_examples_find_their_rows",
            "f13_filters_find_what_frames_said",
            "f13_every_example_finds_its_rows_and_no_others",
        ],
    ),
    (
        "F14",
        &[
            "f14_not_binds_closer_than_a_blank_and_that_closer_than_or",
            "f14_what_is_no_filter_stays_in_its_line_with_the_reason",
            "what_cannot_be_read_is_told_with_its_place",
            "ended_flows_keep_the_age_that_they_reached",
            "f14_what_cannot_be_read_is_red_and_f16_what_is_not_complete_is_dim",
        ],
    ),
    (
        "F15",
        &[
            "f15_letters_in_order_match_and_the_closest_is_best",
            "f15_the_best_match_is_first_unless_rows_are_sorted",
            "f15_letters_that_match_are_underlined",
        ],
    ),
    (
        "F16",
        &[
            "f16_addresses_and_urls_are_text",
            "f16_a_last_term_without_its_value_is_incomplete",
            "the_nearest_keyword_is_the_one_meant",
            "f14_what_cannot_be_read_is_red_and_f16_what_is_not_complete_is_dim",
            "f16_aliases_look_where_their_names_say",
        ],
    ),
];

/// What needs another machine, and what is run there.
const RUN: &[(&str, &str)] =
    &[("PR7", "cargo build --release --no-default-features"), ("PR8", "cargo check --target <SYSTEM>")];

#[test]
fn every_promise_has_its_test() {
    let mut code = String::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(ending) if ending == "rs" => code += &fs::read_to_string(path).unwrap(),
                _ => {}
            }
        }
    }
    for (promise, tests) in SHOWN {
        for test in *tests {
            // NB: this table has no bracket behind the name.
            let is_there = code.contains(&format!("fn {test}() {{"));
            assert!(is_there, "{promise}: there is no test {test}");
        }
    }
    let last = [("ST", 8), ("D", 8), ("L", 19), ("PR", 10), ("SV", 2), ("K", 20), ("SO", 11), ("F", 16)];
    for (chapter, last) in last {
        for number in 1..=last {
            let covers = |row: &str| {
                let of = |part: &str| part.strip_prefix(chapter).and_then(|n| n.parse::<u32>().ok());
                let (first, end) = row.split_once('-').unwrap_or((row, row));
                of(first).zip(of(end)).is_some_and(|(first, end)| (first..=end).contains(&number))
            };
            let rows = || SHOWN.iter().map(|row| row.0).chain(RUN.iter().map(|row| row.0));
            assert!(rows().any(covers), "{chapter}{number} is shown by nothing");
        }
    }
}
