// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// Flags that decide how `mosq sub` and `mosq rr` print messages.
struct MessagePrinter: ParsableArguments {
    @Flag(name: [.customShort("v"), .long], help: "Print the topic before each message.")
    var verbose = false

    @Option(
        name: .customShort("F"), parsing: .unconditional,
        help: "Print messages in this format, as in the manual of mosquitto_sub.")
    var format: String?

    @Flag(name: .long, help: "Print the JSON of the formats %j and %J with newlines and tabs.")
    var pretty = false

    @Flag(name: .customShort("N"), help: "Print no newline after a message.")
    var noNewline = false

    @Flag(name: .customShort("R"), help: "Do not print retained messages.")
    var noRetained = false

    func check() throws { _ = try formatter(warn: { _ in }) }

    /// Prints messages until the sequence ends, `limit` messages were taken, or the reader of the output is gone.
    /// Throws if the output cannot be written.
    ///
    /// - Parameters:
    ///   - writesEach: true if each message is written before the next one is asked for, since the broker then has its
    ///     acknowledgement, and sends it to nobody again.
    ///   - filter: the messages to leave out.
    ///   - warns: whether a message that the format cannot print is reported.
    ///   - prepare: called before a message is printed; returns whether to print it.
    func print(
        _ messages: MQTTMessages, limit: Int?, writesEach: Bool, filter: MessageFilter? = nil, warns: Bool = true,
        prepare: (MQTTMessage) async -> Bool = { _ in true }
    ) async throws {
        let formatter = try? formatter { if warns { standardError($0) } }
        let filters = filter?.topicFilters ?? []
        let retainedOnly = filter?.retainedOnly ?? false
        var output = StandardOutput()
        var taken = 0
        for await message in messages {
            if retainedOnly, !message.retain { break }
            if noRetained, message.retain { continue }
            if filters.contains(where: { $0.matches(message.topic) }) { continue }
            if await prepare(message) { write(message, formatter, to: &output) }
            // The user, or the next program of a pipe, sees each message on arrival, not when a buffer is full.
            if writesEach || messages.isIdle { output.flush() }
            if output.isBroken { break }
            taken += 1
            if taken == limit {
                output.flush()
                if !output.isBroken { messages.acknowledge() }
                break
            }
        }
        output.flush()
        try output.check()
    }

    /// Prints a message as `print_message` of mosquitto_sub does: an empty payload gives no line, or "(null)" and a
    /// newline with -v.
    private func write(_ message: MQTTMessage, _ formatter: MessageFormatter?, to output: inout StandardOutput) {
        if let formatter {
            output.write(formatter.bytes(message))
            if !noNewline { output.write(CollectionOfOne(UInt8(ascii: "\n"))) }
            return
        }
        func write(_ bytes: some Collection<UInt8>) {
            if Terminal.isOutput { output.write(TerminalText.escaping(bytes)) } else { output.write(bytes) }
        }
        if message.payload.isEmpty {
            if verbose, !noNewline { write("\(message.topic) (null)\n".utf8) }
            return
        }
        if verbose { write("\(message.topic) ".utf8) }
        write(message.payload)
        if !noNewline { output.write(CollectionOfOne(UInt8(ascii: "\n"))) }
    }

    private func formatter(warn: @escaping (String) -> Void) throws -> MessageFormatter? {
        try format.map {
            MessageFormatter(try MessageFormat($0), isPretty: pretty, escapes: Terminal.isOutput, warn: warn)
        }
    }
}

extension MessagePrinter: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        verbose = words.flag("-v", "--verbose")
        format = words.text("-F")
        pretty = words.flag("--pretty")
        noNewline = words.flag("-N")
        noRetained = words.flag("-R")
    }
}
