import Testing

@testable import Mosquitto

@Suite struct `A TLS failure` {
    private func verification(_ code: Int32) -> TLSFailure {
        TLSFailure(
            verification: .init(code: code, text: "certificate is not yet valid", depth: 1, subject: "CN=broker"))
    }

    @Test func `shows the check that failed, where, and of which certificate`() {
        #expect(
            verification(10).description
                == "certificate verification failed: certificate is not yet valid (error 10 at depth 1, subject CN=broker)"
        )
    }

    @Test func `of a certificate that is not yet valid asks for the clock`() {
        #expect(verification(9).description.hasSuffix("; is the clock of this machine right?"))
    }

    @Test(arguments: [Int32(10), 18, 19, 20, 62])
    func `of another check does not ask for the clock`(code: Int32) {
        #expect(!verification(code).description.contains("clock"))
    }

    @Test func `shows the broker's alert before OpenSSL's reason, and that before its own alert`() {
        let received = TLSFailure.Alert(received: true, code: 48, name: "unknown CA")
        let sent = TLSFailure.Alert(received: false, code: 70, name: "protocol version")
        #expect(TLSFailure(alert: received, reason: "r").description == "the broker sent the TLS alert unknown CA (48)")
        #expect(TLSFailure(alert: sent, reason: "r").description == "TLS failed: r")
        #expect(TLSFailure(alert: sent).description == "TLS failed with the alert protocol version (70)")
        #expect(TLSFailure().description == "TLS failed")
    }
}
