/* A program with the library and another static library of Rust, second.rs. */
#include "check.h"

int32_t second_item(size_t index);

int main(void) {
    fsv_settings *settings = NULL;
    fsv_error *error = NULL;
    CHECK(fsv_settings_parse("{", 1, 0, &settings, &error) != FSV_STATUS_OK);
    CHECK(second_item(1) == 20);
    CHECK(second_item(3) == -1);
    fsv_error_free(error);
    settings = parsed("{\"rules\": []}");
    CHECK(fsv_settings_rule_count(settings) == 0);
    fsv_settings_free(settings);
    return 0;
}
