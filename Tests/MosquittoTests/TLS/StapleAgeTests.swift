// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim
import Testing
import Turns

#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

@Suite("The age of an OCSP response", .turn(.units))
struct StapleAgeTests {
    private static let day = 86_400

    private func isCurrent(thisUpdate: Int, nextUpdate: Int?) -> Bool {
        let now = time(nil)
        let this = ASN1_GENERALIZEDTIME_set(nil, now + thisUpdate)
        let next = nextUpdate.flatMap { ASN1_GENERALIZEDTIME_set(nil, now + $0) }
        defer {
            ASN1_GENERALIZEDTIME_free(this)
            ASN1_GENERALIZEDTIME_free(next)
            ERR_clear_error()
        }
        return cmq_staple_is_current(this, next) == 1
    }

    @Test(arguments: [(0, true), (-6 * day, true), (-8 * day, false), (-1_000 * day, false), (day, false)])
    func `without nextUpdate is a week at most (core 31, security 9)`(thisUpdate: Int, expected: Bool) {
        #expect(isCurrent(thisUpdate: thisUpdate, nextUpdate: nil) == expected)
    }

    @Test(arguments: [(-30 * day, day, true), (-30 * day, -day, false), (-60, 60, true), (day, 2 * day, false)])
    func `is otherwise what the response says`(thisUpdate: Int, nextUpdate: Int, expected: Bool) {
        #expect(isCurrent(thisUpdate: thisUpdate, nextUpdate: nextUpdate) == expected)
    }
}
