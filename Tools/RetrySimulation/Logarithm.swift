// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The decimal logarithm; zero has that of one.
func logarithm(_ number: Int) -> Double { log10(Double(max(number, 1))) }
