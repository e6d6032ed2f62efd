// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// `close(2)`, under a name that a method called `close` does not hide.
func closeDescriptor(_ descriptor: Int32) { _ = close(descriptor) }

/// `free(3)`, under a name that a method called `free` does not hide.
func freeMemory(_ pointer: UnsafeMutableRawPointer?) { free(pointer) }

/// The text of an `errno`.
func errorText(_ code: Int32) -> String { String(cString: strerror(code)) }

/// The `errno` of a call that failed.
struct SystemCallError: Error { let code: Int32 }
