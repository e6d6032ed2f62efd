import Foundation
import MosquittoTesting

#if os(Linux)
import Glibc

/// What this process holds, as the kernel and the allocator see it.
struct Footprint {
    /// Bytes that were allocated and not freed.
    var heap: Int
    var residentKB: Int
    var descriptors: Int
    var threads: Int
    /// Those of the library, by their names: the threads of Swift's own pool come and go.
    var libraryThreads: Int

    /// Two looks in a row that agree: what was just let go of is gone. They are further apart than the system lets timers
    /// be late, so that what one frees is seen.
    static func settled() async throws -> Footprint {
        var looks: [Footprint] = []
        _ = try await eventually(timeout: .seconds(10), pollEvery: .milliseconds(500)) {
            looks.append(try now())
            guard let last = looks.last, let earlier = looks.dropLast().last else { return false }
            // To look takes some memory too.
            return (last.descriptors, last.threads) == (earlier.descriptors, earlier.threads)
                && abs(last.heap - earlier.heap) < 4_096
        }
        return try looks.last ?? now()
    }

    private static func now() throws -> Footprint {
        Allocator.trim()
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        func field(_ name: String) -> Int {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? ""
            return Int(line.filter(\.isNumber)) ?? 0
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").map { thread in
            // A thread that has just ended has no name any more.
            (try? String(contentsOfFile: "/proc/self/task/\(thread)/comm", encoding: .utf8)) ?? ""
        }
        return Footprint(
            heap: try Allocator.bytesInUse(), residentKB: field("VmRSS"),
            descriptors: try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count,
            threads: names.count, libraryThreads: names.count { $0.hasPrefix("mosquitto") })
    }
}

/// What `malloc.h` declares, which Swift's Glibc leaves out.
private enum Allocator {
    /// `malloc_trim`: gives free pages back, so that resident memory is what is in use.
    static func trim() {
        guard let symbol = dlsym(nil, "malloc_trim") else { return }
        _ = unsafeBitCast(symbol, to: (@convention(c) (Int) -> Int32).self)(0)
    }

    /// Of all arenas, by `malloc_info`: what the system gave, less what is free.
    static func bytesInUse() throws -> Int {
        var text: UnsafeMutablePointer<CChar>?
        var length = 0
        guard let symbol = dlsym(nil, "malloc_info"), let stream = open_memstream(&text, &length) else {
            throw SoakFailure("this C library has no malloc_info")
        }
        typealias Function = @convention(c) (Int32, UnsafeMutablePointer<FILE>) -> Int32
        _ = unsafeBitCast(symbol, to: Function.self)(0, stream)
        fclose(stream)
        defer { free(text) }
        // The sums follow the arenas.
        let sums = text.map { String(cString: $0) }?.components(separatedBy: "</heap>").last ?? ""
        func size(_ tag: String) -> Int {
            let rest = sums.components(separatedBy: "<\(tag)").dropFirst().first ?? ""
            let value = rest.components(separatedBy: "size=\"").dropFirst().first ?? ""
            return Int(value.prefix { $0.isNumber }) ?? 0
        }
        return size("system type=\"current\"") - size("total type=\"fast\"") - size("total type=\"rest\"")
            + size("total type=\"mmap\"")
    }
}
#endif
