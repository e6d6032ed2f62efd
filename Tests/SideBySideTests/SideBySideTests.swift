// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

/// Compares `mosq` with mosquitto's own commands: the same arguments, input and broker must give the same output, exit
/// status and packets.
@Suite("mosq beside mosquitto's commands", .turn(.sideBySide), .timeLimit(.minutes(10)))
struct SideBySideTests {
    @Test(arguments: PublishRows.all)
    func `pub does the same`(row: Row) async throws { try await compare(row) }

    @Test(arguments: SubscribeRows.all + FormatRows.all)
    func `sub does the same`(row: Row) async throws { try await compare(row) }

    @Test(arguments: RequestRows.all)
    func `rr does the same`(row: Row) async throws { try await compare(row) }

    @Test(arguments: ConnectionRows.all)
    func `all of them connect in the same way`(row: Row) async throws { try await compare(row) }

    @Test(arguments: MistakeRows.all)
    func `a mistake ends both, and is told in one line`(row: Row) async throws { try await compare(row) }

    @Test func `each row has its own name, and each known difference is one of a row`() {
        let names = allRows.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(names.count >= 150)
        for version in [ReferenceVersion.v2_0_11, .v2_0_21, .v2_1] {
            #expect(Set(knownDifferences(version).keys).subtracting(names) == [])
        }
    }

    @Test func `each flag of mosquitto's commands is in a row`() {
        let used = Set(
            allRows.flatMap {
                $0.arguments + Array($0.files.values.joined(separator: "\n").split(separator: /[ \n]/)).map(String.init)
            })
        #expect(Self.flags.subtracting(used) == [])
    }

    private var allRows: [Row] {
        PublishRows.all + SubscribeRows.all + FormatRows.all + RequestRows.all + ConnectionRows.all + MistakeRows.all
    }

    /// The flags of `client_config_line_proc` (2.0.11).
    private static let flags: Set<String> = [
        "-A", "--cafile", "--capath", "--cert", "--ciphers", "-C", "-c", "--disable-clean-session", "-d", "--debug",
        "-D",
        "--property", "-e", "-E", "-f", "--file", "-F", "--help", "-h", "--host", "--insecure", "-i", "--id", "-I",
        "--id-prefix", "-k", "--keepalive", "--key", "--keyform", "-L", "--url", "-l", "--stdin-line", "-m",
        "--message",
        "-M", "--nodelay", "-n", "--null-message", "-N", "-p", "--port", "--pretty", "-P", "--pw", "--proxy", "--psk",
        "--psk-identity", "-q", "--qos", "--quiet", "-r", "--retain", "-R", "--random-filter", "--remove-retained",
        "--repeat", "--repeat-delay", "--retain-as-published", "--retained-only", "-s", "--stdin-file", "-S", "-t",
        "--topic", "-T", "--filter-out", "--tls-alpn", "--tls-engine", "--tls-engine-kpass-sha1", "--tls-use-os-certs",
        "--tls-version", "-U", "--unsubscribe", "-u", "--username", "--unix", "-V", "--protocol-version", "-v",
        "--verbose", "--version", "-W", "--will-payload", "--will-qos", "--will-retain", "--will-topic", "-x",
    ]

    private func compare(_ row: Row) async throws {
        let comparison = try await Slots.shared.run { try await Comparison(row) }
        if let reason = knownDifferences(try await .current())[row.name] {
            // Not withKnownIssue, which prints all known differences each time.
            #expect(
                comparison.ours != comparison.reference,
                "\(row.name) is no difference any more, take it from the list: \(reason)")
        } else {
            check(comparison, row)
        }
    }

    private func check(_ comparison: Comparison, _ row: Row) {
        let (reference, ours) = (comparison.reference, comparison.ours)
        #expect(
            ours == reference,
            """
            \(row.command.rawValue) \(row.arguments)
            --- mosquitto: \(reference)\(comparison.referenceErrors)
            --- mosq: \(ours)\(comparison.errors)
            """)
        if let complaint = row.complaint {
            let lines = comparison.errors.split(separator: "\n").filter { !$0.hasPrefix("Use 'mos") }
            #expect(lines.count == 1, "\(comparison.errors)")
            #expect(lines.first?.hasPrefix("Error: ") == true, "\(comparison.errors)")
            #expect(lines.first?.contains(complaint) == true, "\(comparison.errors)")
        }
    }
}
