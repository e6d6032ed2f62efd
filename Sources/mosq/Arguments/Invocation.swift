// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// The command to run, with its arguments and the name under which the process was started.
struct Invocation {
    /// The mosquitto command to run as; `nil` for the commands that only `mosq` has.
    let command: ReferenceCommand?
    /// True if the process was started under the name of mosquitto's own command.
    let isLink: Bool
    /// The arguments after the command.
    private let rest: [String]

    /// - Parameter arguments: with the name by which the process was started.
    init(_ arguments: [String]) {
        let name = arguments.first?.split(separator: "/").last ?? "mosq"
        let words = arguments.dropFirst()
        if let command = ReferenceCommand(name: name) {
            self.command = command
            isLink = true
            rest = Array(words)
        } else {
            command = words.first.flatMap { ReferenceCommand(rawValue: $0) }
            isLink = false
            rest = command == nil ? Array(words) : Array(words.dropFirst())
        }
    }

    /// The command as the user types it.
    var name: String {
        guard let command else { return "mosq" }
        return isLink ? command.name : "mosq \(command.rawValue)"
    }

    /// The version in the format of mosquitto's commands, with the mosquitto version whose flags this command accepts.
    var versionLine: String {
        guard let command else { return "mosq \(Mosq.number), on libmosquitto \(MosquittoLibrary.version)" }
        return
            "\(command.name) version 2.0.11 (mosq \(Mosq.number)) running on libmosquitto \(MosquittoLibrary.version)."
    }

    /// Returns the input of the argument parser: the options of the file, followed by the arguments.
    func arguments(file: (ReferenceCommand) throws -> OptionsFile? = { try OptionsFile(of: $0) }) throws -> Outcome {
        guard let command else { return .run(try argumentsOfOthers()) }
        let (path, rest) = try optionsFile()
        var arguments = ReferenceArguments(of: command)
        if command == .rr { try arguments.take(Rr.version) }
        for line in try path.map({ try OptionsFile(path: $0) })?.lines ?? (try file(command))?.lines ?? [] {
            try Self.take(line, into: &arguments)
            if arguments.request != nil { break }
        }
        try arguments.take(rest)
        switch arguments.request {
        case .help: return .help(command)
        case .version: return .version(command)
        case nil: return .run([command.rawValue] + arguments.words)
        }
    }

    /// Takes a line of an options file. Complaints show nothing of the file but the names of known options: a line may
    /// be a password.
    private static func take(_ line: [String], into arguments: inout ReferenceArguments) throws {
        let isKnown = line.first.map {
            ReferenceFlag.all.flatMap(\.names).contains($0) || $0.wholeMatch(of: /--[a-z][a-z0-9-]{0,39}/) != nil
        }
        let failure = CommandFailure.usage("A line of the options file is not understood.")
        if isKnown != true { throw failure }
        do {
            try arguments.take(line)
        } catch let complaint as CommandFailure {
            let values = line.dropFirst().flatMap { [$0] + $0.split(separator: " ").map(String.init) }
            if values.contains(where: { value in complaint.lines.contains { $0.contains(value) } }) { throw failure }
            throw complaint
        }
    }

    /// Commands that only `mosq` has and that accept connection flags.
    private static let connecting: Set<String> = ["doctor", "bench"]

    private func argumentsOfOthers() throws -> [String] {
        guard let name = rest.first, Self.connecting.contains(name) else { return rest }
        var arguments = ReferenceArguments(of: nil)
        if name == "doctor" { try arguments.take(Doctor.version) }
        try arguments.take(Array(rest.dropFirst()))
        return [name] + arguments.words
    }

    enum Outcome {
        case run([String])
        case help(ReferenceCommand)
        case version(ReferenceCommand)
    }

    /// Returns the file of `-o`, an option of mosquitto 2.1, and the other arguments. As in mosquitto, `-o` is
    /// evaluated before all other options.
    private func optionsFile() throws -> (String?, [String]) {
        guard let command else { return (nil, rest) }
        var path: String?
        var others: [String] = []
        var words = rest[...]
        while let word = words.popFirst() {
            if word == "-o" {
                guard let file = words.popFirst() else {
                    throw CommandFailure.usage("-o argument given but no options file specified.")
                }
                path = file
                continue
            }
            others.append(word)
            // The value of an option is not one of these.
            if command.takesValue(word), let value = words.popFirst() { others.append(value) }
        }
        return (path, others)
    }
}
