import { trainTokenizer } from "./core/tokenizer/train.ts";
const [type, size, file, limit] = process.argv.slice(2);
const t0 = process.resourceUsage();
let rssAtMerge = 0, first=true;
const { report } = await trainTokenizer({ type: type as never, vocabSize: Number(size), minFrequency: 2, inputs: [file ?? ""], memoryLimitBytes: limit ? Number(limit) : undefined, onProgress: (p) => { if (first && p.phase !== "reading") { first=false; rssAtMerge = process.resourceUsage().maxRSS; } } }).catch((e: unknown) => { console.log(String(e)); process.exit(1); });
const u = process.resourceUsage();
console.log(JSON.stringify({ type, size, file, ...report, learn: report.seconds - report.readSeconds, peakMB: Math.round(u.maxRSS / 1024), startMB: Math.round(t0.maxRSS/1024), atMergeMB: Math.round(rssAtMerge/1024), cpu: (u.userCPUTime + u.systemCPUTime) / 1e6 }));
