// SPDX-License-Identifier: Apache-2.0

public import Testing

/// Makes a suite wait for the turn of its group, and limits the number of tests of the group that run at a time.
///
/// The waiting of a suite and of a test is no part of the time limit of a test.
public struct TurnTrait: SuiteTrait, TestTrait, TestScoping {
    let group: TestGroup

    /// Nested suites and tests inherit the trait.
    public var isRecursive: Bool { true }

    public func scopeProvider(for test: Test, testCase: Test.Case?) -> TurnTrait? { self }

    public func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        if testCase != nil {
            try await Turns.cases.with(limit: group.width, function)
        } else if !test.isSuite {
            try await Turns.tests.with(limit: group.width, function)
        } else if Turns.hasTurn {
            // A nested suite.
            try await function()
        } else {
            try await Turns.groups.with(group, function)
        }
    }
}

extension Trait where Self == TurnTrait {
    /// Tests of other groups do not run beside those of this one.
    public static func turn(_ group: TestGroup) -> Self { Self(group: group) }
}
