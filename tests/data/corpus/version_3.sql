BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'corpus','create_tables','2026-11-29 14:35:58.991333+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'corpus','allow_amd_energy','2026-11-29 14:35:58.996729+00:00');
INSERT INTO "_sqlite_migrations" VALUES(3,'corpus','keep_what_jobs_found','2026-11-29 14:35:59.001165+00:00');
CREATE TABLE epochs (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        phase INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        started_at REAL NOT NULL,
        duration_s REAL NOT NULL CHECK (duration_s >= 0),
        gpu_energy_j REAL CHECK (gpu_energy_j >= 0),
        steps INTEGER,
        samples INTEGER,
        PRIMARY KEY (run, phase, epoch)
    );
INSERT INTO "epochs" VALUES(1,0,0,1700000000.0,10.0,2000.0,100,3200);
INSERT INTO "epochs" VALUES(1,0,1,1700000010.0,10.0,2000.0,100,3200);
CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,
        cluster TEXT NOT NULL,
        job_id TEXT NOT NULL,            -- Slurm's raw id, or local-...
        array_job_id TEXT,
        array_task TEXT,
        user TEXT NOT NULL,
        uid INTEGER NOT NULL,
        account TEXT,
        local INTEGER NOT NULL CHECK (local IN (0, 1)),
        ticket INTEGER REFERENCES tickets (id),
        UNIQUE (cluster, job_id)
    );
INSERT INTO "jobs" VALUES(1,'mini','7',NULL,NULL,'root',0,'bigml',0,1);
CREATE TABLE rejected (
        path TEXT PRIMARY KEY,
        reason TEXT NOT NULL,
        owner_uid INTEGER,
        first_seen_at TEXT NOT NULL,
        last_seen_at TEXT NOT NULL
    );
INSERT INTO "rejected" VALUES('/shared/spool/junk.trace.jsonl','a line is not JSON',0,'2023-11-16T02:00:00+00:00','2023-11-16T02:00:00+00:00');
CREATE TABLE "runs" (
        id INTEGER PRIMARY KEY,
        job INTEGER NOT NULL REFERENCES jobs (id),
        restart INTEGER NOT NULL CHECK (restart >= 0),
        state TEXT NOT NULL,
        finished INTEGER NOT NULL CHECK (finished IN (0, 1)),
        exit_status INTEGER,
        started_at REAL NOT NULL,
        partition TEXT,
        nodes INTEGER NOT NULL,
        gpus INTEGER NOT NULL,
        gpu_model TEXT,
        memory_bytes INTEGER,
        cpus INTEGER,
        energy_j REAL CHECK (energy_j >= 0),
        energy_source TEXT NOT NULL
            CHECK (energy_source IN ('nvml_counter', 'nvml_integral', 'amdsmi_counter', 'amdsmi_integral', 'replay', 'rapl', 'sacct', 'none')),
        quality TEXT NOT NULL CHECK (quality IN ('complete', 'cut', 'damaged')),
        mean_power_w REAL CHECK (mean_power_w >= 0),
        epochs INTEGER NOT NULL,
        epoch_energy_j REAL,
        epoch_duration_s REAL,
        duration_s REAL NOT NULL CHECK (duration_s >= 0),
        elapsed_s REAL,
        gpu_utilisation REAL CHECK (gpu_utilisation BETWEEN 0 AND 1),
        gpu_memory_bytes INTEGER,
        host_memory_bytes INTEGER,
        host_energy_j REAL, found_in_job TEXT,
        UNIQUE (job, restart)
    );
INSERT INTO "runs" VALUES(1,1,0,'COMPLETED',1,0,1700000000.0,'ampere',1,1,'NVIDIA A100-SXM4-80GB',17179869184,4,4000.0,'nvml_counter','complete',200.0,2,2000.0,10.0,20.0,55.0,8.00000000000000155431e-01,10737418240,3221225472,NULL,NULL);
CREATE TABLE tickets (
        id INTEGER PRIMARY KEY,
        cluster TEXT NOT NULL,
        job_id TEXT NOT NULL,            -- of the array, where there is one
        ticket_id TEXT NOT NULL,
        user TEXT NOT NULL,
        submitted_at TEXT NOT NULL,
        script_sha256 TEXT NOT NULL,
        objective TEXT NOT NULL,
        followed INTEGER NOT NULL,
        model_name TEXT,
        model_version TEXT,
        predicted_mean_power_w REAL,
        predicted_energy_j REAL,
        predicted_energy_low_j REAL,
        predicted_energy_high_j REAL,
        predicted_duration_s REAL,
        document TEXT NOT NULL,          -- the ticket as it was written
        file_name TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        owner_uid INTEGER NOT NULL,
        ingested_at TEXT NOT NULL,
        UNIQUE (cluster, job_id)
    );
INSERT INTO "tickets" VALUES(1,'mini','7','t1','root','2026-11-21T06:00:00+00:00','abababababababababababababababababababababababababababababababab','energy',1,'prior','1',200.0,10000.0,8000.0,13000.0,50.0,'{
 "schema": 1,
 "ticket_id": "t1",
 "cluster": "mini",
 "job_id": "7",
 "submitted_at": "2026-11-21T06:00:00+00:00",
 "user": "root",
 "script_path": "/home/alice/train.py",
 "script_sha256": "abababababababababababababababababababababababababababababababab",
 "arguments": [
  "--epochs",
  "5"
 ],
 "workload": {
  "framework": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "model_name": {
   "value": "resnet50",
   "source": "probe",
   "others": []
  },
  "parameters": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "trainable_parameters": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "forward_flops_per_sample": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "training_flops_per_sample": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "layers": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "activation_elements": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "saved_bytes_per_sample": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "input_shape": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "batch_size": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "gradient_accumulation": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "train_samples": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "validation_samples": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "epochs": {
   "value": 5,
   "source": "option",
   "others": []
  },
  "optimizer": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "precision": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "devices": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "steps": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "backend": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "loader_workers": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "data_loading": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "strategy": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "phases": {
   "value": null,
   "source": "unknown",
   "others": []
  },
  "notes": []
 },
 "prediction": {
  "placement": {
   "partition": "ampere",
   "gres_type": "a100",
   "gpu": {
    "name": "NVIDIA A100",
    "architecture": null,
    "cuda_cores": null,
    "memory_bytes": null,
    "memory_bandwidth_bytes_per_s": null,
    "tdp_w": null,
    "peak_fp64_flops_per_s": null,
    "peak_fp32_flops_per_s": null,
    "peak_tf32_flops_per_s": null,
    "peak_fp16_flops_per_s": null,
    "peak_bf16_flops_per_s": null,
    "launch_year": null,
    "idle_w": null,
    "context_idle_w": null,
    "full_load_share": null,
    "power_source": null,
    "slice_of": null,
    "slice_share": 1.0,
    "known": true,
    "note": null,
    "alternatives": []
   },
   "gpus": 1,
   "nodes": 1,
   "memory_bytes": 17179869184,
   "cpus": 4,
   "max_time_s": null,
   "node_features": [],
   "expected_start": null
  },
  "mean_power_w": {
   "value": 200.0,
   "low": 150.0,
   "high": 250.0
  },
  "epoch_energy_j": {
   "value": 1000.0,
   "low": 800.0,
   "high": 1300.0
  },
  "epoch_duration_s": {
   "value": 5.0,
   "low": 4.0,
   "high": 6.5
  },
  "energy_j": {
   "value": 10000.0,
   "low": 8000.0,
   "high": 13000.0
  },
  "duration_s": {
   "value": 50.0,
   "low": 40.0,
   "high": 65.0
  },
  "gpu_memory_bytes": null,
  "host_memory_bytes": null,
  "gpu_utilisation": {
   "value": 0.6,
   "low": 0.4,
   "high": 0.8
  },
  "method": "prior",
  "confidence": "medium",
  "reason": "seen"
 },
 "model": {
  "name": "prior",
  "version": "1",
  "trained_on_runs": 857,
  "promoted_at": "2026-11-01"
 },
 "objective": "energy",
 "followed": true,
 "training": {
  "path": "/home/alice/train.py",
  "sha256": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
  "arguments": [
   "--epochs",
   "5"
  ]
 }
}
','mini-7.ticket.json','761c2d499b59d90f21d7b0cedcd79f257656fac4cedcee4ea4b58246f63d2b58',0,'2023-11-16T02:00:00+00:00');
CREATE TABLE traces (
        path TEXT PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        node TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        modified_ns INTEGER NOT NULL,
        owner_uid INTEGER NOT NULL,
        schema INTEGER NOT NULL,
        quality TEXT NOT NULL CHECK (quality IN ('complete', 'cut', 'damaged')),
        ingested_at TEXT NOT NULL,
        UNIQUE (run, node)
    );
INSERT INTO "traces" VALUES('/shared/spool/mini-7-0-n1.trace.jsonl',1,'n1','96ee1a1f79e0831a9ad0af65046545a7f5643ad98c9db8a67621829b6b552547',3949,1795962958940510483,0,1,'complete','2023-11-16T02:00:00+00:00');
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
COMMIT;
