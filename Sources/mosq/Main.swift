// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Not top-level code, which would be on the main actor: callbacks that C calls on another thread must not be formed
/// there.
@main
enum Main {
    static func main() {
        // On Linux, an asynchronous main ends its thread with pthread_exit(3), which reads a megabyte of tables.
        Task.detached {
            await start()
            exit(0)
        }
        // The threads of Dispatch block signals. This one receives them, even if the process began with them blocked.
        SignalMask.waitForSignals()
    }

    private static func start() async {
        // If the reader of the output exits, write(2) fails instead of ending the process.
        signal(SIGPIPE, SIG_IGN)
        var invocation = Invocation(CommandLine.arguments)
        do {
            invocation = Invocation(try ArgumentEncoding.words(ArgumentEncoding.ofProcess))
            switch try invocation.arguments() {
            case .run(let arguments): try await run(arguments)
            case .help(let command):
                print(Self.help(for: command, named: invocation.name))
                exit(invocation.isLink ? 1 : 0)
            case .version:
                print(invocation.versionLine)
                exit(invocation.isLink ? 1 : 0)
            }
        } catch let failure as CommandFailure {
            for line in failure.lines.prefix(writesEvents ? 1 : .max) { standardError(line) }
            if failure.pointsToHelp { pointToHelp(invocation) }
            exit(failure.status)
        } catch {
            // The parser reports help and version as errors; for the user they are successes.
            if Mosq.exitCode(for: error) == .success { Mosq.exit(withError: error) }
            let message = Mosq.message(for: error)
            standardError("Error: \(message)\(message.last.map { ".?!".contains($0) } == true ? "" : ".")")
            pointToHelp(invocation)
            exit(1)
        }
    }

    private static func run(_ arguments: [String]) async throws {
        #if !Testing || !Tokens
        WholeCommand.run(for: arguments)
        #if !Testing
        if arguments.first == "demo" {
            throw CommandFailure(message: "mosq demo needs a mosq that is built with the trait Testing.")
        }
        #endif
        #endif
        if var command = ArgumentReader.command(arguments) { return try await command.run() }
        var command = try parsed(arguments)
        if var asynchronous = command as? any AsyncParsableCommand {
            try await asynchronous.run()
        } else {
            try command.run()
        }
    }

    /// Parses the arguments that ``ArgumentReader`` has left to the parser: an error is that of the whole command.
    private static func parsed(_ arguments: [String]) throws -> any ParsableCommand {
        // For each parent of a command, the parser reflects on all of its options once more.
        if let command = try? parsedWithoutParents(arguments) { return command }
        return try Mosq.parseAsRoot(arguments)
    }

    /// Returns the command without subcommands that the arguments describe; `nil` if ``ArgumentReader`` has read it
    /// already, without success.
    private static func parsedWithoutParents(_ arguments: [String]) throws -> (any ParsableCommand)? {
        var type: any ParsableCommand.Type = Mosq.self
        var words = arguments[...]
        while let name = words.first,
            let subcommand = type.configuration.subcommands.first(where: { $0.configuration.commandName == name })
        {
            type = subcommand
            words.removeFirst()
        }
        if !type.configuration.subcommands.isEmpty || type is any ReadableArguments.Type { return nil }
        return try type.parse(Array(words))
    }

    /// The parser's text, with the name under which the command was called.
    static func help(for command: ReferenceCommand, named name: String) -> String {
        Mosq.helpMessage(for: command.type).replacing("mosq \(command.rawValue)", with: name)
    }

    private static func pointToHelp(_ invocation: Invocation) {
        if writesEvents { return }
        let name = invocation.command == nil ? "mosq --help' or 'mosq SUBCOMMAND" : invocation.name
        standardError("\nUse '\(name) --help' to see usage.")
    }

    /// A program then reads standard error, and expects events and one last line.
    private static var writesEvents: Bool { CommandLine.arguments.contains("--events") }
}
