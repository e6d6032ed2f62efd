// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import Foundation
import MosquittoTesting
import Testing
import Turns

/// A network of its own, in which only `mosq` and mosquitto are, and whose interface the test switches on and off: nothing
/// outside of it changes.
@Suite("mosq --retry-on-network-change", .turn(.command), .timeLimit(.minutes(3)))
struct NetworkChangeTests {
    /// Needs root, or user namespaces.
    private static let unshare =
        ["--net", "--fork", "--pid", "--kill-child"] + (geteuid() == 0 ? [] : ["--user", "--map-root-user"])

    private static func isPermitted() async throws -> Bool {
        let folder = try TemporaryDirectory()
        let process = try ChildProcess(
            executable: "/usr/bin/unshare", arguments: unshare + ["true"], .init(output: "\(folder.path)/log"))
        return await process.exit(deadline: .seconds(30)) == .status(0)
    }

    /// Runs a script in such a network, with `mosq` as `$mosq`. Returns the events of `mosq`.
    private func run(_ script: String) async throws -> [JSON] {
        let folder = try TemporaryDirectory()
        let common = """
            set -eu
            PATH=$PATH:/usr/sbin:/sbin
            cd "$1" && mosq=$2
            # until PATTERN: waits until the events have it.
            until_event() { for _ in $(seq 600); do if grep -q "$1" events; then return; fi; sleep 0.1; done; exit 2; }
            # Starts the broker, and waits until it listens (0A) on port 1883 (075B): the one attempt after a change follows
            # within 0.4 s, and the next one after more than a minute.
            start_broker() {
                mosquitto -c mosquitto.conf &
                for _ in $(seq 600); do
                    if grep -q ':075B 00000000:0000 0A' /proc/net/tcp; then return; fi
                    sleep 0.1
                done
                exit 3
            }
            printf 'listener 1883\\nallow_anonymous true\\n' >mosquitto.conf
            # The first delay is longer than 75 s, and the one after a change shorter than 3 s.
            "$mosq" sub -h 127.0.0.1 -p 1883 -t a --retry --retry-base-delay 100 --retry-max-delay 1000 \\
                --retry-seed \(Self.seed) --retry-on-network-change --events 2>events &
            until_event attemptFailed

            """
        let log = "\(folder.path)/log"
        let process = try ChildProcess(
            executable: "/usr/bin/unshare",
            arguments: Self.unshare + [
                "bash", "-c", common + script, "test", folder.path, MosqProcess.executable.path,
            ],
            .init(output: log))
        let exit = await process.exit(deadline: .seconds(150))
        let events = try String(contentsOfFile: "\(folder.path)/events", encoding: .utf8)
        let output = try String(contentsOfFile: log, encoding: .utf8)
        #expect(exit == .status(0), "\(output) \(events)")
        return events.split(separator: "\n").compactMap { JSON($0) }
    }

    private static let seed = 44_239

    @Test(.enabled("network namespaces are not permitted here", isPermitted))
    func `an interface that comes back ends the delay`() async throws {
        let events = try await run(
            """
            start_broker
            ip link set lo up
            until_event connected
            """)
        let names = events.compactMap { $0["event"]?.string }
        #expect(names == ["attemptStarted", "attemptFailed", "delayEnded", "attemptStarted", "connected"])
        let failed = try #require(events.first { $0["event"] == "attemptFailed" })
        #expect(failed["code"] == "networkUnreachable")
        #expect(try #require(failed["retryIn"]?.number) > 75)
        let ended = try #require(events.first { $0["event"] == "delayEnded" })
        #expect(ended["change"] == "link")
        #expect(try #require(ended["retryIn"]?.number) < 3)
    }

    @Test(.enabled("network namespaces are not permitted here", isPermitted))
    func `one that comes and goes makes no storm, and the last return counts`() async throws {
        let events = try await run(
            """
            # A clock of attempts goes on meanwhile: the third one comes after 15 s.
            SECONDS=0
            for _ in $(seq 40); do
                if [ "$SECONDS" -ge 9 ]; then break; fi
                ip link set lo up
                sleep 0.05
                ip link set lo down
            done
            cp events flapping
            start_broker
            ip link set lo up
            until_event connected
            # The attempts while the interface came and went.
            test "$(grep -c attemptStarted flapping)" -le 3
            """)
        #expect(events.last?["event"] == "connected")
        let names = events.compactMap { $0["event"]?.string }
        #expect(names.count { $0 == "delayEnded" } <= 4, "\(names)")
    }
}
#endif
