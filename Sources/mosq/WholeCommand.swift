// SPDX-License-Identifier: Apache-2.0

#if !Testing || !Tokens
import FoundationEssentials

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The command with all traits, which `scripts/install` puts into `libexec`, beside the `bin` of this program.
///
/// Without the traits Testing and Tokens, and what they link, `pub`, `sub`, `rr` and `health` start in a third of the
/// time. Linux only: elsewhere `scripts/install` installs one program, and there is no `/proc`.
enum WholeCommand {
    /// Replaces this process, if there is a whole command and the arguments may need it. Returns otherwise.
    ///
    /// - Parameter arguments: the subcommand and its words, those of an options file included.
    static func run(for arguments: [String]) {
        // A value that looks like a flag costs some milliseconds.
        let flags = ["--token-command", "--oauth2-", "--jwt-"]
        let isQuick =
            arguments.first.map { $0 == "health" || ReferenceCommand(rawValue: $0) != nil } == true
            && !arguments.contains { word in flags.contains { word.hasPrefix($0) } }
        guard !isQuick, let path else { return }
        // A program inherits the mask of the thread that starts it.
        SignalMask.clear()
        execv(path, CommandLine.unsafeArgv)
    }

    private static var path: String? {
        guard let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else {
            return nil
        }
        let folder = program.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
        return "\(folder)/libexec/mosq/mosq"
    }
}
#endif
