import ArgumentParser
import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The command and its subcommands.
struct Mosq: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mosq",
        abstract: "An MQTT client for the terminal: mosquitto's commands, with retry and token rotation.",
        version: "mosq 0.1.0, on libmosquitto \(MosquittoLibrary.version)",
        subcommands: [Pub.self, Sub.self, Demo.self],
        // -h is the host.
        helpNames: .long
    )
}

/// Not top-level code, which would be on the main actor: callbacks that C calls on another thread must not be formed there.
@main
enum Main {
    static func main() async {
        // A reader of the output that goes away is an error of write(2), not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try Mosq.parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as CommandFailure {
            for line in failure.lines.prefix(writesEvents ? 1 : .max) { standardError(line) }
            exit(failure.status)
        } catch {
            // Help and version are errors to the parser, and successes to everybody else.
            if Mosq.exitCode(for: error) == .success { Mosq.exit(withError: error) }
            let message = Mosq.message(for: error)
            standardError("Error: \(message)\(message.last.map { ".?!".contains($0) } == true ? "" : ".")")
            if !writesEvents { standardError("\nUse 'mosq --help' or 'mosq SUBCOMMAND --help' to see usage.") }
            exit(1)
        }
    }

    /// A program reads standard error then, and expects events and one last line.
    private static var writesEvents: Bool { CommandLine.arguments.contains("--events") }
}
