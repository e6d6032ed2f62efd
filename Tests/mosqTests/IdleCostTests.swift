// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import Foundation
import MosquittoTesting
import Testing
import Turns

@Suite("The cost of waiting", .turn(.command))
struct IdleCostTests {
    /// The whole process as the kernel accounts it, not the loop's thread alone.
    @Test func `ten seconds before a refused TLS port cost less than 50 ms of CPU`() async throws {
        let authority = try TestCertificateAuthority()
        let folder = try TemporaryDirectory()
        let cafile = try folder.write(authority.certificatePEM, to: "ca.pem")
        let port = try freePort()
        let mosq = try MosqProcess([
            "sub", "-h", "localhost", "-p", "\(port)", "-t", "a", "--cafile", cafile, "--retry", "--events",
        ])
        #expect(try await mosq.waitForEvent("attemptFailed"))
        let before = try mosq.cpuTime()
        try await Task.sleep(for: .seconds(10))
        let used = try mosq.cpuTime() - before
        #expect(used < .milliseconds(50), "it used \(used)")
        mosq.send(SIGTERM)
        let result = try await mosq.result()
        #expect(result.events.count { $0["event"]?.string == "attemptFailed" } >= 3)
    }
}

extension MosqProcess {
    /// User and system time so far (proc(5), `stat`, fields 14 and 15).
    func cpuTime() throws -> Duration {
        let stat = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        // The second field is the command in parentheses.
        let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
        let ticks = (Int(fields[12]) ?? 0) + (Int(fields[13]) ?? 0)
        return .seconds(Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK))))
    }
}
#endif
