// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Turns

@testable import mosq

@Suite("docs/doctor.md", .turn(.command))
struct DocumentedDoctorTests {
    @Test func `names every cause and every step`() throws {
        let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "../../docs/doctor.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        for cause in Diagnosis.Cause.allCases { #expect(text.contains("`\(cause.rawValue)`"), "\(cause)") }
        for step in ConnectionReport.Step.allCases { #expect(text.contains("`\(step.rawValue)`"), "\(step)") }
    }
}
