// What every peer's program needs: a closed loop, and one line of JSON at the end.

const PERCENTILES = [25, 50, 75, 90, 95, 99, 99.9];

export function report(rate, latencies, errors) {
  latencies.sort((a, b) => a - b);
  const at = (percentile) => latencies[Math.max(0, Math.floor(((latencies.length - 1) * percentile) / 100))] ?? 0;
  console.log(JSON.stringify({ rate, latencies: latencies.length ? PERCENTILES.map(at) : [], errors }));
}

// Keeps `atOnce` calls of `work` going; what begins in the first second is not counted.
export async function closed(atOnce, seconds, work) {
  const start = performance.now() + 1000;
  const end = start + seconds * 1000;
  const latencies = [];
  let errors = 0;
  const client = async () => {
    for (;;) {
      const begun = performance.now();
      if (begun >= end) return;
      try {
        await work();
        if (begun >= start) latencies.push(performance.now() - begun);
      } catch (error) {
        if (errors++ === 0) console.error(error);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, client));
  report((latencies.length / (performance.now() - start)) * 1000, latencies, errors);
}
