// Decides one flow by a settings file, in C++17:
//
//     decide SETTINGS HOST PORT
//
// with handles that free themselves and errors that are thrown.
#include <flowsieve.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

template <auto Free>
struct Freer {
    template <typename T>
    void operator()(T *handle) const { Free(handle); }
};

using Settings = std::unique_ptr<fsv_settings, Freer<fsv_settings_free>>;
using Matcher = std::unique_ptr<fsv_matcher, Freer<fsv_matcher_free>>;
using Error = std::unique_ptr<fsv_error, Freer<fsv_error_free>>;

void check(fsv_status status) {
    if (status != FSV_STATUS_OK) throw std::runtime_error(fsv_status_message(status));
}

// Makes a handle: `call` takes the two outputs that every function which can explain itself has.
template <typename Handle, typename Call>
Handle made(Call call) {
    typename Handle::pointer handle = nullptr;
    fsv_error *error = nullptr;
    if (call(&handle, &error) != FSV_STATUS_OK) {
        throw std::runtime_error(fsv_error_message(Error(error).get()));
    }
    return Handle(handle);
}

Matcher matcher_of(std::string_view json) {
    const auto settings = made<Settings>([&](auto settings, auto error) {
        return fsv_settings_parse(json.data(), json.size(), 0, settings, error);
    });
    return made<Matcher>([&](auto matcher, auto error) {
        return fsv_matcher_new(settings.get(), nullptr, matcher, error);
    });
}

// A TCP flow outbound from a socket that is not bound yet. A host that is a name is borrowed.
fsv_flow flow_to(std::string_view host, std::string_view port) {
    fsv_flow flow = FSV_FLOW_INIT;
    flow.protocol = FSV_PROTOCOL_TCP;
    flow.direction = FSV_DIRECTION_OUTBOUND;
    check(fsv_flow_set_remote(&flow, host.data(), host.size(), port.data(), port.size()));
    check(fsv_flow_set_local(&flow, "0.0.0.0", 7, "0", 1));
    return flow;
}

std::string_view name(fsv_action action) {
    switch (action) {
    case FSV_ACTION_ALLOW: return "allow";
    case FSV_ACTION_FILTER_DATA: return "filterData";
    default: return "drop";
    }
}

// Prints what becomes of a flow; of one that cannot be decided, the failure action and why. Returns whether it was
// decided.
bool run(const char *path, std::string_view host, std::string_view port) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error(std::string(path) + " cannot be read");
    const std::string json(std::istreambuf_iterator<char>(file), {});
    const Matcher matcher = matcher_of(json);

    fsv_decision decision = FSV_DECISION_INIT;
    try {
        const fsv_flow flow = flow_to(host, port);
        check(fsv_matcher_decide(matcher.get(), &flow, &decision));
    } catch (const std::runtime_error &error) {
        std::cout << name(fsv_matcher_failure_action(matcher.get())) << ": " << error.what() << '\n';
        return false;
    }
    std::cout << name(decision.action);
    if (decision.rule == FSV_NO_RULE) {
        std::cout << " by " << (decision.reason == FSV_REASON_LOOPBACK ? "loopback" : "default") << '\n';
    } else {
        std::cout << " by rule " << decision.rule << " ("
                  << std::string_view(decision.label, decision.label_len) << ")\n";
    }
    return true;
}

} // namespace

int main(int count, char **arguments) {
    if (count != 4) {
        std::cerr << "usage: " << arguments[0] << " SETTINGS HOST PORT\n";
        return 2;
    }
    try {
        return run(arguments[1], arguments[2], arguments[3]) ? 0 : 1;
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 2;
    }
}
