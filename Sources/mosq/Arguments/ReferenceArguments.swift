// SPDX-License-Identifier: Apache-2.0

/// Processes arguments as `client_config_line_proc` does, in order and with the same error messages, and passes them to
/// the argument parser in a form that the parser accepts: one value for each option.
///
/// An option takes the next word as its value, whatever the word begins with; no word is valid without an option.
struct ReferenceArguments {
    enum Request { case help, version }

    /// The words for the argument parser.
    private(set) var words: [String] = []
    /// The first `--help` or `--version`, which ends the processing.
    private(set) var request: Request?

    private let command: ReferenceCommand?
    /// True if `--url-decode` is among the arguments.
    private var decodesURL = false

    /// - Parameter command: the counterpart among mosquitto's commands; `nil` for a command that only `mosq` has, which
    ///   takes the connection flags and leaves all other words to the argument parser.
    init(of command: ReferenceCommand?) { self.command = command }

    /// Takes the words of the command line, or of one line of an options file.
    mutating func take(_ arguments: [String]) throws {
        var rest = arguments[...]
        if arguments.contains("--url-decode") { decodesURL = true }
        while request == nil, let word = rest.popFirst() {
            if let flag = ReferenceFlag.named(word, of: command) {
                try take(word, flag, &rest)
            } else if command == nil {
                words.append(word)
            } else if ReferenceFlag.all.contains(where: { $0.names.contains(word) }) || !Self.isFlag(word) {
                throw CommandFailure.usage("Unknown option '\(word)'.")
            } else {
                // Not one of mosquitto's flags: the argument parser knows the word or reports an error.
                words.append(word)
                if AddedFlag.withValue.contains(word), let value = rest.popFirst() { words.append(value) }
            }
        }
    }

    private mutating func take(_ word: String, _ flag: ReferenceFlag, _ rest: inout ArraySlice<String>) throws {
        switch flag.value {
        case .none:
            switch word {
            case "--help" where command != nil: request = .help
            case "--version" where command != nil: request = .version
            default: words.append(word)
            }
        case .text:
            words += [word, try value(of: flag, &rest)]
        case .number:
            words += [word, try number(word, try value(of: flag, &rest))]
        case .url:
            let url = try BrokerURL(try value(of: flag, &rest), decodes: decodesURL)
            words += command == nil ? url.connection : url.topic + url.connection
        case .property:
            let property = try PropertyArgument(popping: &rest)
            words += property.words.flatMap { ["--property", $0] }
            // A later -V may still change the version.
            words += ["--protocol-version", "mqttv5"]
        }
    }

    private func value(of flag: ReferenceFlag, _ rest: inout ArraySlice<String>) throws -> String {
        guard let value = rest.popFirst() else { throw CommandFailure.usage(flag.complaint) }
        return value
    }

    /// Returns a number in the form that the argument parser accepts: `atoi` skips leading spaces and accepts a sign,
    /// and a line of an options file may end with a space.
    private func number(_ word: String, _ text: String) throws -> String {
        var digits = text.split(separator: " ").joined(separator: " ")
        if digits.hasPrefix("+") { digits.removeFirst() }
        guard Double(digits) != nil else {
            throw CommandFailure.usage("\(word) argument must be a number, not '\(text)'.")
        }
        return digits
    }

    private static func isFlag(_ word: String) -> Bool { word.hasPrefix("-") && word != "-" && word != "--" }
}
